import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { eventually } from '../deadline.js';
import { aptInstall } from './apt.js';
import { onFreePort } from './ports.js';
import { openSandbox, type Sandbox } from './sandbox.js';
import type { Service } from './service.js';

const PACKAGE = 'python3-swift';
/** Debian's own Python, for which the package is. */
const PYTHON = '/usr/bin/python3';

/** Where all tests keep objects, each below a prefix of its own. */
export const BUCKET = 'parley-tests';
export const REGION = 'eu-central-1';
/** The only account of the server, as AWS's tools take it. */
export const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test:tester', AWS_SECRET_ACCESS_KEY: 'testing' };

/** An S3 server of one's own: OpenStack Swift with its S3 API, which checks signatures and does multipart uploads whole. */
export interface ObjectStore extends AsyncDisposable {
  readonly url: string;
}

/** Finds the server on this machine, or installs it. */
export async function findObjectStore(): Promise<Service> {
  const here = (): boolean => existsSync('/usr/lib/python3/dist-packages/swift/proxy/server.py');
  if (here()) return { at: PYTHON };
  const why = await aptInstall(PACKAGE);
  return here() ? { at: PYTHON } : { missing: why ?? `${PACKAGE} did not bring Swift` };
}

/** Starts one with its bucket. Throws when it cannot. */
export async function startObjectStore(python: string): Promise<ObjectStore> {
  const sandbox = await openSandbox();
  try {
    const [port] = await onFreePort((candidate) => launch(sandbox, python, candidate));
    const url = `http://127.0.0.1:${port}`;
    await makeBucket(url);
    return { url, [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose]() };
  } catch (error) {
    const log = sandbox.log();
    await sandbox[Symbol.asyncDispose]();
    throw new Error(`the object store did not start:\n${log}`, { cause: error });
  }
}

async function launch(sandbox: Sandbox, python: string, port: number): Promise<void> {
  const program = join(import.meta.dirname, 'object-store.py');
  const folder = join(sandbox.directory, String(port));
  const server = await sandbox.start(python, [program, folder, String(port)], 'SIGKILL');
  const ready = eventually(30_000, `the object store on port ${port} answers`, async () => {
    if (!server.running) return 'ended' as const;
    await fetch(`http://127.0.0.1:${port}/`);
    return 'ready' as const;
  });
  if ((await ready) === 'ended') throw new Error('it ended at once');
}

async function makeBucket(endpoint: string): Promise<void> {
  const client = new S3Client({
    endpoint,
    region: REGION,
    forcePathStyle: true,
    credentials: {
      accessKeyId: CREDENTIALS.AWS_ACCESS_KEY_ID,
      secretAccessKey: CREDENTIALS.AWS_SECRET_ACCESS_KEY,
    },
  });
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  client.destroy();
}

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, within } from '../deadline.js';
import { EICAR } from '../eicar.js';
import { findBinary } from './binaries.js';
import { SBIN } from './nginx.js';
import { askLine, onFreePort } from './ports.js';
import { openSandbox, type Sandbox, type SandboxProcess } from './sandbox.js';

const CONF = join(import.meta.dirname, '../../../deploy/clamd.conf');

/** What this scanner calls the EICAR test file: signatures that are no part of the official ones are marked so. */
export const FOUND = 'Parley.Test.UNOFFICIAL';

/** A clamd by `deploy/clamd.conf` that knows one virus, to kill, to hang and to start again. */
export interface ClamdServer extends AsyncDisposable {
  /** The same for as long as it lives, also after a restart. */
  readonly url: string;
  /** At once, as by `kill -9`. */
  kill(): Promise<void>;
  /** Again on the same port, after `kill`. */
  start(): Promise<void>;
  /** Connections stay and nothing answers, until `resume`. */
  pause(): void;
  resume(): void;
}

/** Starts a clamd on a free port, with other lines of its configuration in the place of those that are there. Throws when there is none: ask `isMissing(services.clamd)` first. */
export async function startClamd(...lines: string[]): Promise<ClamdServer> {
  const command = findBinary('clamd', SBIN);
  if (command === undefined) throw new Error('clamd is not on this machine');
  const sandbox = await openSandbox();
  try {
    await writeFile(join(sandbox.directory, 'eicar.ndb'), `Parley.Test:0:*:${EICAR.toString('hex')}\n`);
    let [port, server] = await onFreePort((candidate) => launch(sandbox, command, candidate, lines));
    return {
      url: `tcp://127.0.0.1:${port}`,
      kill: async () => {
        process.kill(server.pid, 'SIGKILL');
        await within(10_000, 'the end of clamd', server.ended);
      },
      start: async () => {
        if (server.running) throw new Error('This clamd runs already');
        server = await launch(sandbox, command, port, lines);
      },
      pause: () => process.kill(server.pid, 'SIGSTOP'),
      resume: () => process.kill(server.pid, 'SIGCONT'),
      [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
    };
  } catch (error) {
    await sandbox[Symbol.asyncDispose]();
    throw error;
  }
}

async function launch(
  sandbox: Sandbox,
  command: string,
  port: number,
  lines: readonly string[],
): Promise<SandboxProcess> {
  const conf = join(sandbox.directory, 'clamd.conf');
  // The very file but for where things are, and what the test has otherwise. A line that is not there any more fails the test.
  const places = [
    'User root',
    `DatabaseDirectory ${sandbox.directory}`,
    `LocalSocket ${join(sandbox.directory, 'clamd.sock')}`,
    `TCPSocket ${port}`,
  ];
  const text = (await readFile(CONF, 'utf8')).split('\n');
  for (const line of [...places, ...lines]) {
    const [option = ''] = line.split(' ', 1);
    const at = text.findIndex((one) => one.startsWith(`${option} `));
    if (at === -1) throw new Error(`clamd.conf has no ${option}`);
    text[at] = line;
  }
  await writeFile(conf, ['TCPAddr 127.0.0.1', `TemporaryDirectory ${sandbox.directory}`, ...text].join('\n'));
  const server = await sandbox.start(command, [`--config-file=${conf}`], 'SIGKILL');
  const ready = eventually(20_000, `clamd on port ${port} answers`, async () => {
    if (!server.running) return 'ended' as const;
    return (await askLine(port, 'nPING')) === 'PONG' && 'ready';
  });
  if ((await ready) === 'ended' || !server.running) throw new Error(`clamd did not start:\n${sandbox.log()}`);
  return server;
}

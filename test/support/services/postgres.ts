import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { realpathSync } from 'node:fs';
import { promisify } from 'node:util';
import pg from 'pg';
import { eventually, within } from '../deadline.js';
import { findBinary, postgresFolders } from './binaries.js';
import { onFreePort } from './ports.js';
import { openSandbox, unprivilegedUser, type Sandbox, type SandboxProcess } from './sandbox.js';

/** A Postgres of one's own, to kill and to start again. What was committed stays, as on a real one. */
export interface PostgresServer extends AsyncDisposable {
  /** The superuser's address of the database `postgres`; the same also after a restart. */
  readonly url: string;
  /** At once: sessions break, and the next start recovers. */
  kill(): Promise<void>;
  /** Again on the same port, after `kill`. */
  start(): Promise<void>;
}

const OLDEST = 15;

/** Speed over safety: what a test stores need not survive a power cut. A killed Postgres keeps what it had committed. */
const FAST = [
  'fsync=off',
  'full_page_writes=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'jit=off',
  'max_connections=300',
];

/**
 * Starts a Postgres on a free port, with `settings` (name=value) beside its own defaults. Throws when it cannot: ask
 * `isMissing(services.postgres)` first.
 */
export async function startPostgres(settings: readonly string[] = FAST): Promise<PostgresServer> {
  const found = findBinary('postgres', postgresFolders());
  if (found === undefined) throw new Error('postgres is not on this machine');
  // What stands on the PATH may be a link to one program of the folder where all of them are.
  const command = realpathSync(found);
  await refuseOld(command);
  const sandbox = await openSandbox(unprivilegedUser());
  try {
    await initialise(sandbox, join(dirname(command), 'initdb'));
    let [port, server] = await onFreePort((candidate) => launch(sandbox, command, candidate, settings));
    return {
      url: addressOf(port),
      kill: async () => {
        process.kill(server.pid, 'SIGQUIT');
        await within(10_000, 'the end of Postgres', server.ended);
      },
      start: async () => {
        if (server.running) throw new Error('This Postgres runs already');
        server = await launch(sandbox, command, port, settings);
      },
      [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose](),
    };
  } catch (error) {
    await sandbox[Symbol.asyncDispose]();
    throw error;
  }
}

async function refuseOld(command: string): Promise<void> {
  const { stdout } = await promisify(execFile)(command, ['--version'], { timeout: 10_000 });
  const major = Number(/ (\d+)/.exec(stdout)?.[1]);
  if (major < OLDEST) throw new Error(`${command} is version ${major}; it takes ${OLDEST} or newer`);
}

async function initialise(sandbox: Sandbox, command: string): Promise<void> {
  const args = [
    '--pgdata',
    dataOf(sandbox),
    '--username',
    'parley',
    '--auth',
    'trust',
    '--no-sync',
    '--encoding',
    'UTF8',
  ];
  // Text that sorts as in a dictionary tells where the program took the order of bytes for granted.
  const locale = ['--locale', 'C', '--locale-provider', 'icu', '--icu-locale', 'en'];
  const initdb = await sandbox.start(command, [...args, ...locale]);
  const end = await within(60_000, 'initdb', initdb.ended);
  if (end !== 'exit code 0') throw new Error(`initdb: ${end}\n${sandbox.log()}`);
}

async function launch(
  sandbox: Sandbox,
  command: string,
  port: number,
  settings: readonly string[],
): Promise<SandboxProcess> {
  const place = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories='];
  const args = ['-D', dataOf(sandbox), ...[...settings, ...place].flatMap((setting) => ['-c', setting])];
  // SIGQUIT is the immediate shutdown, which also gives the shared memory back.
  const server = await sandbox.start(command, args, 'SIGQUIT');
  const ready = eventually(60_000, `Postgres on port ${port} answers`, async () => {
    if (!server.running) return 'ended' as const;
    const client = new pg.Client({ connectionString: addressOf(port), connectionTimeoutMillis: 20_000 });
    await client.connect();
    await client.end();
    return 'ready' as const;
  });
  // One that ends has not bound the port, though another's Postgres may answer there.
  const outcome = await ready.catch(async (error: unknown) => {
    // The next attempt wants the same folder.
    if (server.running) process.kill(server.pid, 'SIGQUIT');
    await server.ended;
    throw error;
  });
  if (outcome === 'ended' || !server.running) throw new Error(`Postgres did not start:\n${sandbox.log()}`);
  return server;
}

const dataOf = (sandbox: Sandbox): string => join(sandbox.directory, 'data');
const addressOf = (port: number): string => `postgres://parley@127.0.0.1:${port}/postgres`;

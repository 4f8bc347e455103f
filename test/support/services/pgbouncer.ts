import { connect } from 'node:net';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../deadline.js';
import { findBinary } from './binaries.js';
import { SBIN } from './nginx.js';
import { onFreePort } from './ports.js';
import { openSandbox, unprivilegedUser, type Sandbox } from './sandbox.js';

/** Undefined where it is not on this machine. */
export const pgbouncer = findBinary('pgbouncer', SBIN);

/** PgBouncer in front of a database; `url` is that database's through it. */
export async function startPgBouncer(
  database: string,
  settings: readonly string[],
): Promise<AsyncDisposable & { readonly url: string }> {
  const sandbox = await openSandbox(unprivilegedUser());
  try {
    const [port] = await onFreePort((candidate) => launch(sandbox, candidate, database, settings));
    const url = new URL(database);
    url.host = `127.0.0.1:${port}`;
    return { url: url.href, [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose]() };
  } catch (error) {
    await sandbox[Symbol.asyncDispose]();
    throw error;
  }
}

async function launch(
  sandbox: Sandbox,
  port: number,
  database: string,
  settings: readonly string[],
): Promise<void> {
  const { hostname, port: at, username, password } = new URL(database);
  const config = join(sandbox.directory, 'pgbouncer.ini');
  const secret = password === '' ? '' : ` password=${decodeURIComponent(password)}`;
  const lines = [
    '[databases]',
    `* = host=${hostname} port=${at === '' ? '5432' : at} user=${decodeURIComponent(username)}${secret}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    ...settings,
  ];
  await writeFile(config, lines.join('\n'));
  const server = await sandbox.start(pgbouncer ?? '', [config]);
  await eventually(10_000, 'PgBouncer listens', async () => {
    if (!server.running) throw new Error(sandbox.log());
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect').finally(() => socket.destroy());
    return true;
  });
}

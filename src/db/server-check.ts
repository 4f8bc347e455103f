import type pg from 'pg';
import { inTime } from '../async/timeout.js';
import { StartError } from '../errors.js';
import { SETTINGS } from './session.js';

/** Milliseconds for each question. */
const ASK_MS = 5000;
/** Those that a pooler keeps for each of its clients, as it hears of them. https://www.pgbouncer.org/config.html */
const KEPT_BY_POOLERS = ['DateStyle', 'TimeZone', 'standard_conforming_strings'];

const OLDEST = 15;

interface Server {
  readonly database: string;
  readonly encoding: string;
  readonly version: number;
  readonly is_standby: boolean;
  readonly is_read_only: boolean;
  readonly schema: string | null;
  readonly search_path: string;
  readonly pid: number;
}

/** Throws StartError for a server that the program cannot work on, in one line that says what to do. */
export async function checkServer(
  client: pg.ClientBase & { readonly processID?: number | null },
): Promise<void> {
  const asked = client.query<Server>(`
    select current_database() as database, current_setting('server_encoding') as encoding,
      current_setting('server_version_num')::int / 10000 as version, pg_is_in_recovery() as is_standby,
      current_setting('transaction_read_only') = 'on' as is_read_only,
      current_schema() as schema, current_setting('search_path') as search_path, pg_backend_pid() as pid`);
  const { rows } = await inTime(asked, ASK_MS, 'no answer');
  const [server] = rows;
  if (server === undefined) throw new Error('the database does not say what it is');
  const { database, encoding, version } = server;
  if (version < OLDEST)
    throw refused(`this is Postgres ${String(version)}; it takes ${String(OLDEST)} or newer`);
  if (encoding !== 'UTF8')
    throw refused(
      `the database ${database} stores text in ${encoding}; it takes UTF8: make one by \`createdb --encoding=UTF8 --template=template0\``,
    );
  if (server.is_standby) throw refused('this server is a standby, which takes no writes: name its primary');
  if (server.is_read_only)
    throw refused(`the database ${database} is read-only: set its default_transaction_read_only to off`);
  if (server.schema === null)
    throw refused(
      `no schema of search_path (${server.search_path}) is there, so tables have no place: make it, or reset search_path`,
    );
  // What it says of itself is not this connection's, so another one may run the next statement.
  if (server.pid !== client.processID) await checkDefaults(client);
}

/** Behind a pooler a session's settings may be left behind with a connection: then the server's own have to do. */
async function checkDefaults(client: pg.ClientBase): Promise<void> {
  const names = Object.keys(SETTINGS).filter((name) => !KEPT_BY_POOLERS.includes(name));
  const asked = client.query<{ name: string; reset_val: string }>(
    'select name, reset_val from pg_settings where name = any($1)',
    [names],
  );
  const { rows } = await inTime(asked, ASK_MS, 'no answer');
  const wrong = rows.find(({ name, reset_val }) => reset_val !== SETTINGS[name]);
  if (wrong === undefined) return;
  const { name, reset_val } = wrong;
  throw refused(
    `${name} is ${reset_val}, which cannot be changed through a pooler; it takes ${SETTINGS[name] ?? ''}: ` +
      `\`alter database … set ${name} = '${SETTINGS[name] ?? ''}'\``,
  );
}

const refused = (why: string): StartError => new StartError(`DATABASE_URL: ${why}`);

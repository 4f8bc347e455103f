import type pg from 'pg';
import { inTime, SilenceError } from '../async/timeout.js';
import { StartError } from '../errors.js';
import { MortalClient } from './watched-client.js';

/** Milliseconds for each question. */
const ASK_MS = 5000;

const PREPARED: pg.QueryConfig = { name: 'parley_pooler', text: 'select pg_backend_pid() as pid' };

/**
 * Finds a pooler before Postgres that leads the transactions of one connection to different sessions, where statements that were
 * prepared in another one fail. `client`: a connection there, as others will be made by `config`. Throws StartError, and what keeps it from connecting.
 */
export async function refuseLossyPooler(client: pg.Client, config: pg.ClientConfig): Promise<void> {
  const { rows } = await inTime(client.query<{ pid: number }>(PREPARED), ASK_MS, 'no answer');
  // Without one, a session is whom the connection was told that it is.
  if (rows[0]?.pid === (client as unknown as { processID: number }).processID) return;
  await using other = await connectAlone(config);
  try {
    // Where they share sessions this one takes what the first has left, and keeps it.
    await inTime(other.client.query('begin'), ASK_MS, 'no answer');
    await inTime(other.client.query(PREPARED), ASK_MS, 'no answer');
    await inTime(client.query(PREPARED), ASK_MS, 'no answer');
  } catch (error) {
    // All sessions may be in use.
    if (error instanceof SilenceError) return;
    // The statement does not exist, or exists already; or there are no transactions at all.
    if (!/^(?:26000|42P05|08P01)$/.test(String((error as { code?: unknown }).code))) throw error;
    throw new StartError(
      'DATABASE_URL: the pooler there loses prepared statements between two transactions; connect to Postgres itself, set pool_mode=session, or use PgBouncer 1.21 or newer with max_prepared_statements',
      { cause: error },
    );
  }
}

/** A connection of no pool. */
export async function connectAlone(
  config: pg.ClientConfig,
): Promise<AsyncDisposable & { readonly client: pg.Client }> {
  const client = new MortalClient(config);
  client.on('error', () => undefined);
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}

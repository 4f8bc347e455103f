import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { Database } from './database.js';
import { preparedName } from './statement.js';
import { timestampOr } from './timestamps.js';
import type { Tables } from './tables.js';

type Parse = (text: string) => unknown;

const usual = pg.types.getTypeParser as (oid: number, format?: 'text' | 'binary') => Parse;

/** Sequence numbers, counts and sizes stay below 2^53, so int8 is read as a number. */
const PARSERS = new Map<number, Parse>([
  [pg.types.builtins.INT8, Number],
  [pg.types.builtins.TIMESTAMPTZ, timestampOr(usual(pg.types.builtins.TIMESTAMPTZ))],
]);

const types: pg.CustomTypesConfig = {
  // Asked for each column of each answer.
  getTypeParser: (oid, format) => (format === 'binary' ? undefined : PARSERS.get(oid)) ?? usual(oid, format),
};

/** A pool that reads values as the tables say, whether it connects to Postgres or to the embedded one. */
export function openPool(poolConfig: pg.PoolConfig, logger: Logger): pg.Pool {
  const pool = new pg.Pool({ ...poolConfig, types });
  pool.on('error', (err) => {
    // An idle connection broke; the pool replaces it.
    logger.warn({ reason: err.message }, 'database: an idle connection failed');
  });
  pool.on('connect', (client) => {
    // One that is in use has no listener of the pool's, and breaks without a query of its own between two statements of a
    // transaction: nobody else would hear of it, which ends the process. The next statement tells whoever uses it.
    client.on('error', (err) => {
      logger.debug({ reason: err.message }, 'database: a connection failed');
    });
  });
  return pool;
}

export const overPool = (pool: pg.Pool): Database =>
  new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });

type Query = (query: unknown, ...rest: unknown[]) => unknown;

/** Prepares what is worth it. Not for the embedded Postgres, whose one session forgets everything between two clients. */
class PreparingClient extends pg.Client {
  override query = ((query: unknown, ...rest: unknown[]): unknown => {
    const name = typeof query === 'string' ? preparedName(query) : undefined;
    const run = super.query.bind(this) as Query;
    return name === undefined ? run(query, ...rest) : run({ name, text: query, values: rest[0] });
  }) as pg.Client['query'];
}

/** A Postgres server, 15 or newer. */
export const connectPostgres = (
  config: Pick<Config, 'databasePoolSize'>,
  url: string,
  logger: Logger,
): Database =>
  overPool(
    openPool(
      {
        connectionString: url,
        max: config.databasePoolSize,
        connectionTimeoutMillis: 5000,
        keepAlive: true,
        application_name: 'parley',
        Client: PreparingClient,
      },
      logger,
    ),
  );

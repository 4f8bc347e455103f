import { Kysely, PostgresDialect, type LogEvent } from 'kysely';
import pg from 'pg';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import { tracing } from '../observability/tracing.js';
import type { Database } from './database.js';
import { Pipeline } from './pipeline.js';
import { PipeliningPool } from './pipelining-pool.js';
import { preparedAs } from './statement.js';
import { timestampOf } from './timestamps.js';
import type { Tables } from './tables.js';

type Parse = (text: string) => unknown;

const usual = pg.types.getTypeParser as (oid: number, format?: 'text' | 'binary') => Parse;

/** Sequence numbers, counts and sizes stay below 2^53, so int8 is read as a number. */
const PARSERS = new Map<number, Parse>([
  [pg.types.builtins.INT8, Number],
  [pg.types.builtins.TIMESTAMPTZ, timestampOf],
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

export const overPool = (pool: pg.Pool, pipelines: readonly Pipeline[] = []): Database =>
  new Kysely<Tables>({
    dialect: new PostgresDialect({
      pool: pipelines.length === 0 ? pool : new PipeliningPool(pool, pipelines),
    }),
    ...(tracing !== undefined && { log: traceStatement }),
  });

/** A span for a statement that has run, without the values that it ran with. */
function traceStatement({ query, queryDurationMillis, ...event }: LogEvent): void {
  const { sql } = query;
  const name = /^\s*(\w+)/.exec(sql)?.[1]?.toLowerCase() ?? 'statement';
  tracing?.past(
    { name: `sql ${name}`, attributes: { 'db.system.name': 'postgresql', 'db.query.text': sql } },
    performance.now() - queryDurationMillis,
    event.level === 'error' ? event.error : undefined,
  );
}

type Query = (query: unknown, ...rest: unknown[]) => unknown;

/** Prepares what is worth it. Not for the embedded Postgres, whose one session forgets everything between two clients. */
class PreparingClient extends pg.Client {
  override query = ((query: unknown, ...rest: unknown[]): unknown => {
    const name = typeof query === 'string' ? preparedAs(query)?.name : undefined;
    const run = super.query.bind(this) as Query;
    return name === undefined ? run(query, ...rest) : run({ name, text: query, values: rest[0] });
  }) as pg.Client['query'];
}

/** Connections of a process that its quick statements share, if it may have so many and two more. */
const PIPELINES = 2;

export interface Postgres {
  readonly db: Database;
  readonly pool: pg.Pool;
  readonly pipelines: readonly Pipeline[];
}

/** Connects to a Postgres server, 15 or newer, as soon as something is asked of it. */
export function openPostgres(
  { databasePoolSize }: Pick<Config, 'databasePoolSize'>,
  connectionString: string,
  logger: Logger,
): Postgres {
  const server = {
    connectionString,
    connectionTimeoutMillis: 5000,
    keepAlive: true,
    application_name: 'parley',
  };
  const shared = Math.min(PIPELINES, databasePoolSize - 2);
  const pool = openPool({ ...server, max: databasePoolSize - shared, Client: PreparingClient }, logger);
  const pipelines = Array.from({ length: shared }, () => new Pipeline({ ...server, types }, logger));
  return { db: overPool(pool, pipelines), pool, pipelines };
}

/** The same, to write queries for. */
export const connectPostgres = (...server: Parameters<typeof openPostgres>): Database =>
  openPostgres(...server).db;

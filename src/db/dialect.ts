import { Kysely, PostgresDialect, type LogEvent, type PostgresPool } from 'kysely';
import pg from 'pg';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import { tracing } from '../observability/tracing.js';
import { BackgroundPool } from './background.js';
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

export const overPool = (pool: PostgresPool): Database =>
  new Kysely<Tables>({
    dialect: new PostgresDialect({ pool }),
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

type PostgresLimits = Pick<Config, 'databasePoolSize'> & Partial<Pick<Config, 'statementTimeoutMs'>>;

/** Connections of a process that its quick statements share, if it may have so many and two more. */
const PIPELINES = 2;

export interface Postgres {
  readonly db: Database;
  /** The same for what no client waits for. */
  readonly background: Database;
  readonly pool: pg.Pool;
  readonly pipelines: readonly Pipeline[];
}

/**
 * Connects to a Postgres server, 15 or newer, as soon as something is asked of it. Statements of `db` that take longer than `statementTimeoutMs`
 * fail (isStatementTimeout in outage.ts); 0, or none: any time.
 */
export function openPostgres(
  { databasePoolSize, statementTimeoutMs = 0 }: PostgresLimits,
  connectionString: string,
  logger: Logger,
): Postgres {
  const server = {
    connectionString,
    connectionTimeoutMillis: 5000,
    keepAlive: true,
    application_name: 'parley',
  };
  // Not a parameter of the start: poolers refuse connections with one that they do not know.
  const onConnect = async (client: pg.ClientBase): Promise<void> => {
    if (statementTimeoutMs > 0) await client.query(`set statement_timeout = ${String(statementTimeoutMs)}`);
  };
  // The pool waits for what it returns; its types do not say so.
  const hook = { onConnect: onConnect as (client: pg.ClientBase) => void };
  const shared = Math.min(PIPELINES, databasePoolSize - 2);
  const max = databasePoolSize - shared;
  const pool = openPool({ ...server, max, Client: PreparingClient, ...hook }, logger);
  const pipelines = Array.from(
    { length: shared },
    () => new Pipeline({ ...server, types }, onConnect, logger),
  );
  return {
    db: overPool(new PipeliningPool(pool, pipelines)),
    background: overPool(new BackgroundPool(pool)),
    pool,
    pipelines,
  };
}

/** The same, to write queries for. */
export const connectPostgres = (...server: Parameters<typeof openPostgres>): Database =>
  openPostgres(...server).db;

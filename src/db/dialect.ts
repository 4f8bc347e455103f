import { Kysely, PostgresDialect, type LogEvent, type PostgresPool } from 'kysely';
import pg from 'pg';
import { Permits } from '../async/permits.js';
import { SilenceWatch } from '../async/silence-watch.js';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { PoolFigures } from '../observability/metrics.js';
import { tracing } from '../observability/tracing.js';
import type { Database } from './database.js';
import { LIMITS_OF_COMMANDS, limitsOfBackground, limitsOfRequests, type StatementLimits } from './limits.js';
import { Ping } from './ping.js';
import { Pipeline } from './pipeline.js';
import { PipeliningPool } from './pipelining-pool.js';
import { prepareSession } from './session.js';
import { preparedAs } from './statement.js';
import { timestampOf } from './timestamps.js';
import type { Tables } from './tables.js';
import { breakConnection, MortalClient, watchClient } from './watched-client.js';

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
export class Pool extends pg.Pool {
  private readonly unused = new Set<pg.PoolClient>();

  constructor(config: pg.PoolConfig, logger: Logger) {
    super({ ...config, types });
    this.on('error', (err) => {
      // An idle connection broke; the pool replaces it.
      logger.warn({ reason: err.message }, 'database: an idle connection failed');
    });
    this.on('connect', (client) => {
      // One that is in use has no listener of the pool's, and breaks without a query of its own between two statements of a
      // transaction: nobody else would hear of it, which ends the process. The next statement tells whoever uses it.
      client.on('error', (err) => {
        logger.debug({ reason: err.message }, 'database: a connection failed');
      });
    });
    this.on('acquire', (client) => this.unused.delete(client));
    this.on('release', (_error, client) => this.unused.add(client));
    this.on('remove', (client) => this.unused.delete(client));
  }

  /** Breaks the connections that are not in use: they may lead to where no database answers any more. */
  renew(): void {
    for (const client of this.unused) breakConnection(client, 'it may lead to nowhere');
  }
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
class PreparingClient extends MortalClient {
  override query = ((query: unknown, ...rest: unknown[]): unknown => {
    const name = typeof query === 'string' ? preparedAs(query)?.name : undefined;
    const run = super.query.bind(this) as Query;
    return name === undefined ? run(query, ...rest) : run({ name, text: query, values: rest[0] });
  }) as pg.Client['query'];
}

/** Connections of a process that its quick statements share, if it may have so many and two more. */
const PIPELINES = 2;
/** Milliseconds to connect, and to wait for a connection. */
const CONNECT_MS = 5000;
/** The same in the background. */
const PATIENT_MS = 30_000;

export const serverAt = (connectionString: string): pg.ClientConfig => ({
  connectionString,
  connectionTimeoutMillis: CONNECT_MS,
  keepAlive: true,
  // A host that is gone without a word is found out after 20 s, even where nothing is asked of it.
  keepAliveInitialDelayMillis: 10_000,
  application_name: 'parley',
});

export interface Postgres {
  /** For what requests wait for. */
  readonly db: Database;
  /** For work in the background: it has connections of its own, so it takes none from requests, nor they from it. */
  readonly background: Database;
  readonly ping: Ping;
  readonly pipelines: readonly Pipeline[];
  figures(): PoolFigures;
  close(): Promise<void>;
}

/**
 * Connects to a Postgres server, 15 or newer, as soon as something is asked of it. Statements of `db` that take longer than `statementTimeoutMs`
 * fail (isStatementTimeout in outage.ts); 0, or none: any time.
 */
export function openPostgres(
  {
    databasePoolSize: size,
    databaseTimeoutMs: timeoutMs = 10_000,
    statementTimeoutMs: statementMs = 0,
  }: ServerConfig,
  connectionString: string,
  logger: Logger,
): Postgres {
  const server = serverAt(connectionString);
  const limits = limitsOfRequests(timeoutMs, statementMs);
  const watch = new SilenceWatch(limits.silenceMs);
  const shared = Math.min(PIPELINES, size - 2);
  const behind = Math.floor(size / 8);
  const max = size - shared - behind;
  const pool = openPool({ ...server, max }, limits, watch, renew, logger);
  const pipelines = Array.from(
    { length: shared },
    () => new Pipeline({ ...server, types }, limits, watch, renew, logger),
  );
  // A quarter is left to reads, however many writes wait for locks.
  const writes = new Permits(max - Math.ceil(max / 4), CONNECT_MS, 'no connection that may write was free');
  const db = overPool(new PipeliningPool(pool, pipelines, writes, renew));
  const pools = [pool];
  let background = db;
  if (behind > 0) {
    const slow = limitsOfBackground(timeoutMs);
    const second = openPool(
      { ...server, max: behind, connectionTimeoutMillis: PATIENT_MS },
      slow,
      new SilenceWatch(slow.silenceMs),
      renew,
      logger,
    );
    pools.push(second);
    background = overPool(new PipeliningPool(second, [], undefined, renew));
  }

  /** What is not in use is not used again, and connected to anew. */
  function renew(): void {
    for (const each of pools) each.renew();
    for (const pipeline of pipelines) pipeline.renew();
  }

  const ping = new Ping(server, renew);
  const total = (of: (pool: Pool) => number): number => pools.reduce((sum, each) => sum + of(each), 0);
  return {
    db,
    background,
    ping,
    pipelines,
    figures: () => ({
      total:
        total(({ totalCount }) => totalCount) + pipelines.filter(({ isConnected }) => isConnected).length,
      idle: total(({ idleCount }) => idleCount),
      waiting: total(({ waitingCount }) => waitingCount) + writes.waiting,
    }),
    close: async () => {
      await ping.close();
      await db.destroy();
      if (background !== db) await background.destroy();
    },
  };
}

/** What migrations and commands ask, which may take long. */
export const connectPostgres = (
  { databasePoolSize: max }: Pick<Config, 'databasePoolSize'>,
  connectionString: string,
  logger: Logger,
): Database => {
  const watch = new SilenceWatch(LIMITS_OF_COMMANDS.silenceMs);
  return overPool(
    openPool({ ...serverAt(connectionString), max }, LIMITS_OF_COMMANDS, watch, () => undefined, logger),
  );
};

type ServerConfig = Pick<Config, 'databasePoolSize'> &
  Partial<Pick<Config, 'databaseTimeoutMs' | 'statementTimeoutMs'>>;

/** A pool whose connections keep to `limits`. `onSilent` is called when one of them is found to have fallen silent. */
function openPool(
  config: pg.PoolConfig,
  limits: StatementLimits,
  watch: SilenceWatch,
  onSilent: () => void,
  logger: Logger,
): Pool {
  // The pool waits for it, whatever its types say.
  const onConnect: unknown = (client: pg.ClientBase) => prepareSession(client, limits, CONNECT_MS);
  const pool = new Pool(
    { ...config, Client: PreparingClient, onConnect: onConnect as pg.PoolConfig['onConnect'] },
    logger,
  );
  pool.on('connect', (client) => watchClient(watch, client, onSilent));
  return pool;
}

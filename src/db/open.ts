import { sql } from 'kysely';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { PoolFigures } from '../observability/metrics.js';
import { remembered } from '../observability/remembered.js';
import type { Database } from './database.js';
import { connectPostgres, openPostgres, overPool, Pool, serverAt } from './dialect.js';
import { openEmbeddedPostgres } from './embedded/pglite.js';
import { startVacuum } from './embedded/vacuum.js';
import { connectAlone, refuseLossyPooler } from './pooler.js';
import { checkServer } from './server-check.js';

/** The embedded Postgres has no autovacuum. */
const VACUUM_MS = 10 * 60_000;

export interface OpenDatabase {
  /** For clients, who wait: a statement that takes too long fails. */
  readonly db: Database;
  /** For work in the background, which takes no connection from requests. */
  readonly background: Database;
  /** For migrations and commands, whose statements may take as long as they like. */
  withoutLimits<T>(work: (db: Database) => Promise<T>): Promise<T>;
  /** Rejects when the database does not answer, or takes no writes. One call at a time. */
  ping(): Promise<unknown>;
  pool(): PoolFigures;
  close(): Promise<void>;
}

/** The configured Postgres, or the embedded one in `dataDir`, whose lock the caller holds. Throws StartError for a server that will not do. */
export async function openDatabase(config: Config, logger: Logger): Promise<OpenDatabase> {
  const { databaseUrl } = config;
  if (databaseUrl === undefined) return openEmbedded(config, logger);
  await checkDatabase(databaseUrl);
  const postgres = openPostgres(config, databaseUrl, logger);
  return {
    db: postgres.db,
    background: postgres.background,
    withoutLimits: async (work) => {
      const unlimited = connectPostgres({ databasePoolSize: 2 }, databaseUrl, logger);
      try {
        return await work(unlimited);
      } finally {
        await unlimited.destroy();
      }
    },
    ping: () => postgres.ping.check(),
    pool: () => postgres.figures(),
    close: () => postgres.close(),
  };
}

/** Over one connection, and a second one where there is a pooler. */
async function checkDatabase(databaseUrl: string): Promise<void> {
  const server = serverAt(databaseUrl);
  await using alone = await connectAlone(server);
  await refuseLossyPooler(alone.client, server);
  await checkServer(alone.client);
}

/** It falls silent never: it runs on this thread. */
async function openEmbedded({ dataDir }: Config, logger: Logger): Promise<OpenDatabase> {
  const embedded = await openEmbeddedPostgres(dataDir, {
    log: (line) => logger.debug({ line }, 'postgres'),
  });
  const pool = new Pool(embedded.poolConfig, logger);
  const vacuum = startVacuum(pool, VACUUM_MS, (err) =>
    logger.warn({ err }, 'vacuuming failed, it is tried again'),
  );
  const db = overPool(pool);
  return {
    db,
    background: db,
    withoutLimits: (work) => work(db),
    ping: remembered(() => writeTo(db)),
    pool: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: async () => {
      await vacuum[Symbol.asyncDispose]();
      await db.destroy();
      await embedded.close();
    },
  };
}

/** Reaches the disk, as a post does, and leaves nothing in any table. */
const writeTo = (db: Database) => sql`select pg_logical_emit_message(true, 'parley', '')`.execute(db);

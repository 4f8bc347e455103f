import { sql } from 'kysely';
import type { Pool } from 'pg';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { PoolFigures } from '../observability/metrics.js';
import { remembered } from '../observability/remembered.js';
import type { Database } from './database.js';
import { openPool, openPostgres, overPool } from './dialect.js';
import { openEmbeddedPostgres } from './embedded/pglite.js';
import { startVacuum } from './embedded/vacuum.js';
import type { Pipeline } from './pipeline.js';

/** The embedded Postgres has no autovacuum. */
const VACUUM_MS = 10 * 60_000;

export interface OpenDatabase {
  /** For clients, who wait: a statement that takes too long fails. */
  readonly db: Database;
  /** For all else: migrations, jobs, housekeeping, commands. */
  readonly background: Database;
  /** Rejects when the database does not answer, or the embedded one cannot write. */
  ping(): Promise<unknown>;
  pool(): PoolFigures;
  close(): Promise<void>;
}

/** The configured Postgres, or the embedded one in `dataDir`, whose lock the caller holds. */
export async function openDatabase(config: Config, logger: Logger): Promise<OpenDatabase> {
  if (config.databaseUrl !== undefined) {
    const { db, background, pool, pipelines } = openPostgres(config, config.databaseUrl, logger);
    return { db, background, ping: pingOf(db), pool: figuresOf(pool, pipelines), close: () => db.destroy() };
  }
  const embedded = await openEmbeddedPostgres(config.dataDir, {
    log: (line) => logger.debug({ line }, 'postgres'),
  });
  const pool = openPool(embedded.poolConfig, logger);
  const vacuum = startVacuum(pool, VACUUM_MS, (err) =>
    logger.warn({ err }, 'vacuuming failed, it is tried again'),
  );
  const db = overPool(pool);
  return {
    db,
    background: db,
    ping: remembered(() => writeTo(db)),
    pool: figuresOf(pool),
    close: async () => {
      await vacuum[Symbol.asyncDispose]();
      await db.destroy();
      await embedded.close();
    },
  };
}

const figuresOf =
  (pool: Pool, pipelines: readonly Pipeline[] = []) =>
  (): PoolFigures => ({
    total: pool.totalCount + pipelines.filter(({ isConnected }) => isConnected).length,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
  });

/** Reaches the disk, as a post does, and leaves nothing in any table. */
const writeTo = (db: Database) => sql`select pg_logical_emit_message(true, 'parley', '')`.execute(db);

const pingOf = (db: Database) => () => db.selectNoFrom((eb) => eb.lit(1).as('one')).execute();

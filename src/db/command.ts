import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { Database } from './database.js';
import { acquireDataDirLock } from './embedded/data-dir-lock.js';
import { refuseNewer } from './migrator.js';
import { openDatabase } from './open.js';

/**
 * Opens the configured database for `work`; an embedded one must not be in use, and is held until `work` is done. Throws
 * DataDirInUseError, and StartError for one of a newer version.
 */
export async function withDatabase<T>(
  config: Config,
  logger: Logger,
  work: (db: Database) => Promise<T>,
): Promise<T> {
  await using _lock = config.databaseUrl === undefined ? await acquireDataDirLock(config.dataDir) : undefined;
  const database = await openDatabase(config, logger);
  try {
    return await database.withoutLimits(async (db) => {
      await refuseNewer(db);
      return await work(db);
    });
  } finally {
    await database.close();
  }
}

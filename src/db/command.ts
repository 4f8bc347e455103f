import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { Database } from './database.js';
import { acquireDataDirLock } from './embedded/data-dir-lock.js';
import { explain } from './explain.js';
import { openDatabase } from './open.js';

/** Runs a command beside the server; what it throws ends the process with code 1 and one line that says why. */
export function runCommand(command: () => Promise<void>): void {
  command().catch((error: unknown) => {
    process.stderr.write(`parley: ${explain(error)}\n`);
    process.exit(1);
  });
}

/** Opens the configured database for `work`; an embedded one must not be in use, and is held meanwhile. Throws DataDirInUseError. */
export async function withDatabase<T>(
  config: Config,
  logger: Logger,
  work: (db: Database) => Promise<T>,
): Promise<T> {
  await using _lock = config.databaseUrl === undefined ? await acquireDataDirLock(config.dataDir) : undefined;
  const database = await openDatabase(config, logger);
  try {
    return await database.withoutLimits(work);
  } finally {
    await database.close();
  }
}

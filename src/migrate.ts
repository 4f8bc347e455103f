import { loadConfig } from './config/env.js';
import { acquireDataDirLock } from './db/embedded/data-dir-lock.js';
import { createMigrator, requireSuccess } from './db/migrator.js';
import { openDatabase } from './db/open.js';
import { createLogger } from './observability/logger.js';

const USAGE = `usage: npm run migrate -- up | down | status
  up      apply every step that is missing
  down    take the newest step back
  status  list the steps
`;

async function main(command: string | undefined): Promise<void> {
  if (command !== 'up' && command !== 'down' && command !== 'status') {
    process.stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  const config = loadConfig();
  await using _lock = config.databaseUrl === undefined ? await acquireDataDirLock(config.dataDir) : undefined;
  const database = await openDatabase(config, createLogger(config.logLevel));
  try {
    const migrator = createMigrator(database.db);
    if (command === 'status') {
      for (const { name, executedAt } of await migrator.getMigrations()) {
        process.stdout.write(`${executedAt === undefined ? 'missing' : 'applied'}  ${name}\n`);
      }
      return;
    }
    const outcome = await (command === 'up' ? migrator.migrateToLatest() : migrator.migrateDown());
    for (const { direction, migrationName, status } of outcome.results ?? []) {
      process.stdout.write(`${direction} ${migrationName}: ${status}\n`);
    }
    requireSuccess(outcome);
    if (outcome.results?.length === 0) process.stdout.write('nothing to do\n');
  } finally {
    await database.close();
  }
}

main(process.argv[2]).catch((error: unknown) => {
  process.stderr.write(`parley: ${explain(error)}\n`);
  process.exit(1);
});

const explain = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
};

import { loadConfig } from './config/env.js';
import { withDatabase } from './db/command.js';
import { runCommand } from './db/explain.js';
import { createMigrator, migrateToLatest, requireSuccess } from './db/migrator.js';
import { createLogger, logWarnings } from './observability/logger.js';

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
  const logger = createLogger(config.logLevel);
  logWarnings(logger);
  await withDatabase(config, logger, async (db) => {
    const migrator = createMigrator(db);
    if (command === 'status') {
      for (const { name, executedAt } of await migrator.getMigrations()) {
        process.stdout.write(`${executedAt === undefined ? 'missing' : 'applied'}  ${name}\n`);
      }
      return;
    }
    let steps = 0;
    const done = (direction: string, name: string): void => {
      steps += 1;
      process.stdout.write(`${direction} ${name}: Success\n`);
    };
    if (command === 'up') {
      await migrateToLatest(db, (name) => done('Up', name));
    } else {
      const outcome = await migrator.migrateDown();
      requireSuccess(outcome);
      for (const { migrationName } of outcome.results ?? []) done('Down', migrationName);
    }
    if (steps === 0) process.stdout.write('nothing to do\n');
  });
}

runCommand(() => main(process.argv[2]));

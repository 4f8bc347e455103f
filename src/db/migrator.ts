import { Migrator, sql, type MigrationResultSet } from 'kysely';
import { migrations } from '../../migrations/index.js';
import { packageVersion } from '../package-directory.js';
import { StartError } from '../errors.js';
import type { Database } from './database.js';

const UNDEFINED_TABLE = '42P01';

/** Kysely's migrator over migrations/: it holds an advisory lock while it runs, so processes that start together queue. */
export const createMigrator = (db: Database): Migrator =>
  new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });

/** Throws StartError for a database that has steps of a newer version, whose tables this one would misread. */
export async function refuseNewer(db: Database): Promise<void> {
  // Not by the migrator, which fails on them.
  const { rows } = await sql<{ name: string }>`
    select name from ${sql.table('kysely_migration')} order by name desc`
    .execute(db)
    .catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === UNDEFINED_TABLE) return { rows: [] };
      throw error;
    });
  const unknown = rows.map(({ name }) => name).filter((name) => !(name in migrations));
  if (unknown[0] === undefined) return;
  throw new StartError(
    `the database is of a newer version of Parley: it has the migration ${unknown[0]}, which version ${packageVersion()} does not know. ` +
      'Start that version or a newer one; to go back to this one, revert its migrations with it first (`npm run migrate -- down`)',
  );
}

/**
 * Applies what is missing, each step in a transaction of its own, so that none holds the locks of the one before. Calls `onApplied` with
 * the name of each. Throws what made a step fail; its transaction is rolled back, and those before it stay.
 */
export async function migrateToLatest(db: Database, onApplied?: (name: string) => void): Promise<void> {
  await refuseNewer(db);
  const migrator = createMigrator(db);
  for (;;) {
    const outcome = await migrator.migrateUp();
    requireSuccess(outcome);
    const [step] = outcome.results ?? [];
    if (step === undefined) return;
    onApplied?.(step.migrationName);
  }
}

/** Throws the failure of a migration run as an Error that names the step. */
export function requireSuccess({ error, results }: MigrationResultSet): void {
  if (error === undefined) return;
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName;
  throw new Error(failed === undefined ? 'migrating the database failed' : `migration ${failed} failed`, {
    cause: error,
  });
}

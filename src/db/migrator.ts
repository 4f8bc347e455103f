import { Migrator, type MigrationResultSet } from 'kysely';
import { migrations } from '../../migrations/index.js';
import type { Database } from './database.js';

/** Kysely's migrator over migrations/: it holds an advisory lock while it runs, so processes that start together queue. */
export const createMigrator = (db: Database): Migrator =>
  new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });

/** Applies what is missing. Throws what made a step fail; its transaction is rolled back. */
export async function migrateToLatest(db: Database): Promise<void> {
  requireSuccess(await createMigrator(db).migrateToLatest());
}

/** Throws the failure of a migration run as an Error that names the step. */
export function requireSuccess({ error, results }: MigrationResultSet): void {
  if (error === undefined) return;
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName;
  throw new Error(failed === undefined ? 'migrating the database failed' : `migration ${failed} failed`, {
    cause: error,
  });
}

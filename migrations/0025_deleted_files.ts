import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  // Rows of deleted files go when nothing names them any more. There are few of them, among many.
  await sql`create index files_deleted on files (deleted_at) where deleted_at is not null`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index files_deleted`.execute(db);
}

import { sql, type Kysely } from 'kysely';

/** The keys are filled in the background (housekeeping.ts). Until then lower case stands in for them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table rooms add column name_key text collate "C"`.execute(db);
  await sql`create index rooms_without_key on rooms (id) where name_key is null`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index rooms_without_key`.execute(db);
  await sql`alter table rooms drop column name_key`.execute(db);
}

import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  // Rooms that are there are all looked at once, and so are those that a program before this step makes. A constant
  // default rewrites no table.
  await sql`alter table rooms add column trim_at timestamptz(3) default '1970-01-01 00:00:00+00'`.execute(db);
  await sql`create index rooms_trim on rooms (trim_at) where trim_at is not null`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table rooms drop column trim_at`.execute(db);
}

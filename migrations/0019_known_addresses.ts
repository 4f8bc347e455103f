import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table known_addresses (
      user_id uuid not null references users,
      address text collate "C" not null,
      seen_at timestamptz(3) not null default clock_timestamp(),
      primary key (user_id, address)
    )`.execute(db);
  await sql`create index known_addresses_age on known_addresses (seen_at)`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table known_addresses`.execute(db);
}

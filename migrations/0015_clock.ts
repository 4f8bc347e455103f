import { sql, type Kysely } from 'kysely';

/**
 * One row: when the database's clock was looked at last, and until when it is doubted since it had jumped. In a database that is in use,
 * the last look is the last refresh, which clients do every quarter of an hour.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table clock (
      is_only boolean primary key default true check (is_only),
      seen_at timestamptz(3) not null,
      doubted_until timestamptz(3)
    )`.execute(db);
  await sql`
    insert into clock (seen_at)
    select coalesce(max(created_at), clock_timestamp()) from refresh_tokens`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table clock`.execute(db);
}

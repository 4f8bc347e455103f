import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table file_store (
      is_only boolean primary key default true check (is_only),
      id uuid
    )`.execute(db);
  await sql`insert into file_store default values`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table file_store`.execute(db);
}

import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table jobs (
      kind text collate "C" not null,
      subject text collate "C" not null,
      run_at timestamptz(3) not null default clock_timestamp(),
      attempts integer not null default 0,
      primary key (kind, subject)
    )`.execute(db);
  await sql`create index jobs_due on jobs (kind, run_at)`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table jobs`.execute(db);
}

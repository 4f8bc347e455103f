import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  // Whose work a job is, and when their turn comes. A program before this step leaves both out.
  await sql`alter table jobs add column owner text collate "C", add column turn timestamptz(3) not null default clock_timestamp()`.execute(
    db,
  );
  await sql`
    update jobs set owner = uploader_id::text from files
    where kind in ('picture', 'film', 'document') and files.id::text = subject`.execute(db);
  await sql`
    update jobs set owner = user_id::text from upload_sessions
    where kind = 'upload' and upload_sessions.id::text = subject`.execute(db);
  await sql`
    update jobs set turn = place.turn
    from (
      select kind, subject,
        min(run_at) over (partition by kind, owner) + row_number() over (partition by kind, owner order by run_at) * interval '1 minute' as turn
      from jobs where owner is not null
    ) place
    where jobs.kind = place.kind and jobs.subject = place.subject`.execute(db);
  await sql`drop index jobs_due`.execute(db);
  await sql`create index jobs_due on jobs (kind, turn)`.execute(db);
  await sql`create index jobs_owner on jobs (kind, owner, turn)`.execute(db);
  // What open uploads have announced is summed for a room; for a user there is such an index already.
  await sql`create index upload_sessions_open_room on upload_sessions (room_id) where state in ('RECEIVING', 'PROCESSING')`.execute(
    db,
  );
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop index upload_sessions_open_room, jobs_owner, jobs_due`.execute(db);
  await sql`create index jobs_due on jobs (kind, run_at)`.execute(db);
  await sql`alter table jobs drop column turn, drop column owner`.execute(db);
}

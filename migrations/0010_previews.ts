import { sql, type Kysely } from 'kysely';

/** What gets a job, as it stood when this step was written. */
const JOBS = sql`
  insert into jobs (kind, subject)
  select
    case
      when mime_type in ('image/jpeg', 'image/png', 'image/apng', 'image/webp', 'image/gif', 'image/avif') then 'picture'
      when mime_type = 'application/pdf' then 'document'
      else 'film'
    end,
    id::text
  from files
  where deleted_at is null and (
    mime_type in ('image/jpeg', 'image/png', 'image/apng', 'image/webp', 'image/gif', 'image/avif', 'application/pdf')
    or starts_with(mime_type, 'video/') or starts_with(mime_type, 'audio/'))`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table media_facts (
      blob_id text primary key references blobs on delete cascade,
      width integer,
      height integer,
      thumbhash text,
      duration_ms bigint,
      pages integer
    )`.execute(db);
  await sql`
    create table variants (
      blob_id text not null references blobs,
      name text collate "C" not null,
      storage_key text not null unique,
      size bigint not null,
      sha256 text not null,
      created_at timestamptz(3) not null default clock_timestamp(),
      primary key (blob_id, name)
    )`.execute(db);
  await sql`alter table files add column media_known boolean not null default false`.execute(db);
  // Files that were there before are looked at like new ones.
  await JOBS.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`delete from jobs where kind in ('picture', 'film', 'document')`.execute(db);
  // The program before sweeps the bytes away, as it does those of deleted files.
  await sql`insert into upload_leases (storage_key, expires_at) select storage_key, to_timestamp(0) from variants`.execute(
    db,
  );
  await sql`drop table variants, media_facts`.execute(db);
  await sql`alter table files drop column media_known`.execute(db);
  // A log has no holes. Told of a file that they have, clients change nothing.
  await sql`update room_events set kind = 'FILE_ADDED' where kind = 'FILE_CHANGED'`.execute(db);
}

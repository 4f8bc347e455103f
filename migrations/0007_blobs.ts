import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table blobs (
      id text primary key,
      storage_key text not null unique,
      sha256 text not null,
      size bigint not null,
      is_shared boolean not null default true
    )`.execute(db);
  // Files that are there keep the bytes that they have, since nothing tells from here which are still good. Of several with one
  // content the first one's are those that later files share.
  await sql`
    insert into blobs (id, storage_key, sha256, size, is_shared)
    select storage_key, storage_key, sha256, size, row_number() over (partition by sha256 order by id) = 1
    from files where deleted_at is null`.execute(db);
  await sql`create unique index blobs_shared on blobs (sha256) where is_shared`.execute(db);
  // The key becomes the blob's id, so that no row of a file that is there has to be written.
  await sql`alter table files rename column storage_key to blob_id`.execute(db);
  await sql`alter table files drop constraint files_storage_key_key, alter column blob_id drop not null`.execute(
    db,
  );
  await sql`update files set blob_id = null where deleted_at is not null`.execute(db);
  await sql`create index files_blob on files (blob_id) where blob_id is not null`.execute(db);
  await sql`
    alter table files
      add constraint files_blob_id_fkey foreign key (blob_id) references blobs,
      add constraint files_have_bytes check ((blob_id is null) = (deleted_at is not null))`.execute(db);
}

/** Throws where files share bytes: the program before would delete those of all with the first one. */
export async function down(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql`
    select from files where blob_id is not null group by blob_id having count(*) > 1 limit 1`.execute(db);
  if (rows.length > 0) throw new Error('files share their bytes, which the program before does not know');
  await sql`alter table files drop constraint files_blob_id_fkey, drop constraint files_have_bytes`.execute(
    db,
  );
  await sql`drop index files_blob`.execute(db);
  await sql`
    update files set blob_id = blobs.storage_key from blobs
    where blobs.id = files.blob_id and blobs.storage_key <> blobs.id`.execute(db);
  await sql`update files set blob_id = replace(id::text, '-', '') where blob_id is null`.execute(db);
  await sql`alter table files rename column blob_id to storage_key`.execute(db);
  await sql`alter table files add unique (storage_key), alter column storage_key set not null`.execute(db);
  await sql`drop table blobs`.execute(db);
}

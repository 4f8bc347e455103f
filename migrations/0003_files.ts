import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table files (
      id uuid primary key,
      room_id uuid not null references rooms,
      seq bigint not null,
      uploader_id uuid not null references users,
      name text not null,
      name_key text collate "C" not null,
      mime_type text collate "C" not null,
      size bigint not null,
      sha256 text not null,
      storage_key text not null unique,
      created_at timestamptz(3) not null,
      deleted_at timestamptz(3)
    )`.execute(db);
  // One index an order of Room.files, on a key that is unique within the room.
  await sql`create unique index files_by_time on files (room_id, seq) where deleted_at is null`.execute(db);
  await sql`create unique index files_by_name on files (room_id, name_key, seq) where deleted_at is null`.execute(
    db,
  );
  await sql`create unique index files_by_size on files (room_id, size, seq) where deleted_at is null`.execute(
    db,
  );
  await sql`
    create table upload_leases (
      storage_key text primary key,
      expires_at timestamptz(3) not null
    )`.execute(db);
  await sql`create index upload_leases_expiry on upload_leases (expires_at)`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table upload_leases, files`.execute(db);
}

import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table upload_sessions (
      id uuid primary key,
      user_id uuid not null references users,
      room_id uuid not null references rooms,
      name text not null,
      claimed_type text not null,
      size bigint not null,
      is_direct boolean not null,
      state text collate "C" not null default 'RECEIVING',
      storage_key text not null,
      multipart_id text,
      tail_key text,
      received bigint not null default 0,
      next_part integer not null default 0,
      fence integer not null default 0,
      held_until timestamptz(3),
      let_go integer not null default 0,
      code text,
      message text,
      file_id uuid references files,
      created_at timestamptz(3) not null default clock_timestamp(),
      expires_at timestamptz(3) not null
    )`.execute(db);
  await sql`create index upload_sessions_open on upload_sessions (user_id) where state in ('RECEIVING', 'PROCESSING')`.execute(
    db,
  );
  await sql`create index upload_sessions_expiry on upload_sessions (expires_at)`.execute(db);
  await sql`create index upload_sessions_file on upload_sessions (file_id) where file_id is not null`.execute(
    db,
  );
  await sql`
    create table upload_parts (
      upload_id uuid not null references upload_sessions on delete cascade,
      number integer not null,
      size bigint not null,
      storage_key text,
      etag text,
      primary key (upload_id, number)
    )`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table upload_parts, upload_sessions`.execute(db);
}

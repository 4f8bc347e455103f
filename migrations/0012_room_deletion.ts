import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table rooms add column deleted_at timestamptz(3)`.execute(db);
  // What a row that goes is looked for in: without an index the whole table is read for each one.
  await sql`create index files_room on files (room_id)`.execute(db);
  await sql`create index upload_sessions_room on upload_sessions (room_id)`.execute(db);
  await sql`create index messages_replies on messages (reply_to_id) where reply_to_id is not null`.execute(
    db,
  );
  await sql`create index message_files_file on message_files (file_id)`.execute(db);
}

/** Throws while rooms are being deleted: the program before would show them again. */
export async function down(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql`select from rooms where deleted_at is not null limit 1`.execute(db);
  if (rows.length > 0) throw new Error('rooms are being deleted: let a server finish that first');
  await sql`drop index files_room, upload_sessions_room, messages_replies, message_files_file`.execute(db);
  await sql`alter table rooms drop column deleted_at`.execute(db);
}

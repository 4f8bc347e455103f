import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table messages (
      id uuid primary key,
      room_id uuid not null references rooms,
      seq bigint not null,
      author_id uuid not null references users,
      body text not null,
      reply_to_id uuid references messages,
      created_at timestamptz(3) not null,
      edited_at timestamptz(3),
      deleted_at timestamptz(3),
      unique (room_id, seq)
    )`.execute(db);
  await sql`
    create table message_files (
      message_id uuid not null references messages,
      position int not null,
      file_id uuid not null references files,
      primary key (message_id, position)
    )`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table message_files, messages`.execute(db);
}

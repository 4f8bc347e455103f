import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table rooms (
      id uuid primary key,
      slug text collate "C" not null unique,
      name text not null,
      topic text,
      visibility text not null check (visibility in ('PUBLIC', 'PRIVATE')),
      created_at timestamptz(3) not null default clock_timestamp(),
      tag text not null,
      last_seq bigint not null default 0,
      last_tag text not null,
      member_count bigint not null default 0,
      message_count bigint not null default 0,
      file_count bigint not null default 0
    )`.execute(db);
  // The public rooms in the order they are listed in; another user's private rooms are never walked over.
  await sql`create index rooms_public on rooms (slug) where visibility = 'PUBLIC'`.execute(db);
  await sql`
    create table memberships (
      room_id uuid not null references rooms,
      user_id uuid not null references users,
      role text not null check (role in ('OWNER', 'MODERATOR', 'MEMBER')),
      joined_at timestamptz(3) not null,
      joined_seq bigint not null,
      primary key (room_id, user_id),
      unique (room_id, joined_seq)
    )`.execute(db);
  await sql`create index memberships_user on memberships (user_id)`.execute(db);
  await sql`
    create table removals (
      room_id uuid not null references rooms,
      user_id uuid not null references users,
      removed_at timestamptz(3) not null default clock_timestamp(),
      primary key (room_id, user_id)
    )`.execute(db);
  // No foreign keys to subjects: an event outlives what it tells of.
  await sql`
    create table room_events (
      room_id uuid not null references rooms,
      seq bigint not null,
      tag text not null,
      kind text not null,
      at timestamptz(3) not null,
      actor_id uuid,
      message_id uuid,
      file_id uuid,
      user_id uuid,
      role text,
      primary key (room_id, seq)
    )`.execute(db);
  // Rows lie in the order of time, so a range index finds the old ones and costs a write next to nothing.
  await sql`create index room_events_age on room_events using brin (at)`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table room_events, removals, memberships, rooms`.execute(db);
}

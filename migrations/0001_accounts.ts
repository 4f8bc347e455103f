import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table users (
      id uuid primary key,
      email text unique,
      handle text collate "C" not null unique,
      name text not null,
      password_hash text,
      issuer text,
      subject text,
      created_at timestamptz(3) not null default clock_timestamp(),
      unique (issuer, subject)
    )`.execute(db);
  await sql`
    create table sessions (
      id uuid primary key,
      user_id uuid not null references users,
      created_at timestamptz(3) not null default clock_timestamp(),
      expires_at timestamptz(3) not null,
      ended_at timestamptz(3)
    )`.execute(db);
  await sql`create index sessions_expiry on sessions (expires_at)`.execute(db);
  await sql`
    create table refresh_tokens (
      hash text primary key,
      session_id uuid not null references sessions on delete cascade,
      created_at timestamptz(3) not null default clock_timestamp(),
      used_at timestamptz(3)
    )`.execute(db);
  await sql`create index refresh_tokens_spent on refresh_tokens (used_at) where used_at is not null`.execute(
    db,
  );
  await sql`create index refresh_tokens_session on refresh_tokens (session_id)`.execute(db);
  await sql`
    create table idempotency_keys (
      user_id uuid not null references users,
      mutation text not null,
      key text not null,
      input_hash text not null,
      outcome text,
      created_at timestamptz(3) not null default clock_timestamp(),
      primary key (user_id, mutation, key)
    )`.execute(db);
  await sql`create index idempotency_keys_age on idempotency_keys (created_at)`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`drop table idempotency_keys, refresh_tokens, sessions, users`.execute(db);
}

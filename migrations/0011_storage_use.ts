import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table users add column used_bytes bigint not null default 0`.execute(db);
  await sql`alter table rooms add column used_bytes bigint not null default 0`.execute(db);
  await sql`
    update users set used_bytes = mine.bytes
    from (select uploader_id, sum(size)::bigint as bytes from files where deleted_at is null group by uploader_id) mine
    where users.id = mine.uploader_id`.execute(db);
  await sql`
    update rooms set used_bytes = its.bytes
    from (select room_id, sum(size)::bigint as bytes from files where deleted_at is null group by room_id) its
    where rooms.id = its.room_id`.execute(db);
  // Whose upload it is that a lease stands for; null for bytes that are to be deleted.
  await sql`alter table upload_leases add column user_id uuid`.execute(db);
  await sql`create index upload_leases_user on upload_leases (user_id) where user_id is not null`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table upload_leases drop column user_id`.execute(db);
  await sql`alter table rooms drop column used_bytes`.execute(db);
  await sql`alter table users drop column used_bytes`.execute(db);
}

import { sql, type Kysely } from 'kysely';

/** Texts may have another encoding than UTF-8 from now on. A media type has no parameters. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table files add column charset text`.execute(db);
  await sql`update files set mime_type = 'audio/ogg' where mime_type = 'audio/ogg; codecs=opus'`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await sql`alter table files drop column charset`.execute(db);
}

import type { Database, Trx } from '../db/database.js';
import type { UserRow } from '../db/tables.js';

/** A user as others see them: no column here is personal. */
export type PublicUser = Pick<UserRow, 'id' | 'handle' | 'name' | 'created_at'>;

const PUBLIC_COLUMNS = ['id', 'handle', 'name', 'created_at'] as const;

/** Answers in the order of `ids`. */
export async function usersByIds(db: Database, ids: readonly string[]): Promise<(PublicUser | undefined)[]> {
  const rows = await db.selectFrom('users').select(PUBLIC_COLUMNS).where('id', 'in', ids).execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id));
}

export async function userByHandle(db: Database, handle: string): Promise<PublicUser | undefined> {
  return db.selectFrom('users').select(PUBLIC_COLUMNS).where('handle', '=', handle).executeTakeFirst();
}

export async function accountById(db: Database, id: string): Promise<UserRow | undefined> {
  return db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function accountByEmail(db: Database, email: string): Promise<UserRow | undefined> {
  return db.selectFrom('users').selectAll().where('email', '=', email).executeTakeFirst();
}

export async function accountBySubject(
  db: Database,
  issuer: string,
  subject: string,
): Promise<PublicUser | undefined> {
  return db
    .selectFrom('users')
    .select(PUBLIC_COLUMNS)
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst();
}

/** Undefined, with nothing written, when the e-mail, the handle or the subject is taken. */
export async function insertUser(
  db: Database | Trx,
  user: Omit<UserRow, 'created_at' | 'used_bytes'>,
): Promise<PublicUser | undefined> {
  return db
    .insertInto('users')
    .values(user)
    .onConflict((oc) => oc.doNothing())
    .returning(PUBLIC_COLUMNS)
    .executeTakeFirst();
}

/** Which of the two an account that could not be made has in common with another one. */
export async function takenBy(db: Database | Trx, email: string): Promise<'email' | 'handle'> {
  const row = await db.selectFrom('users').select('id').where('email', '=', email).executeTakeFirst();
  return row === undefined ? 'handle' : 'email';
}

export async function insertSession(
  trx: Trx,
  session: { id: string; userId: string; expiresAt: Date },
): Promise<void> {
  await trx
    .insertInto('sessions')
    .values({ id: session.id, user_id: session.userId, expires_at: session.expiresAt, ended_at: null })
    .execute();
}

export async function insertRefreshToken(trx: Trx, sessionId: string, hash: string): Promise<void> {
  await trx.insertInto('refresh_tokens').values({ hash, session_id: sessionId, used_at: null }).execute();
}

/** The refresh token with its session, both locked until `trx` ends: two uses of one token queue here. */
export async function lockRefreshToken(trx: Trx, hash: string) {
  return trx
    .selectFrom('refresh_tokens')
    .innerJoin('sessions', 'sessions.id', 'refresh_tokens.session_id')
    .select([
      'refresh_tokens.used_at',
      'sessions.id as sessionId',
      'sessions.user_id as userId',
      'sessions.expires_at as expiresAt',
      'sessions.ended_at as endedAt',
    ])
    .where('refresh_tokens.hash', '=', hash)
    .forUpdate()
    .executeTakeFirst();
}

export async function spendRefreshToken(trx: Trx, hash: string, usedAt: Date): Promise<void> {
  await trx.updateTable('refresh_tokens').set({ used_at: usedAt }).where('hash', '=', hash).execute();
}

/** Ends a session: no refresh token of it is good any more. */
export async function endSession(trx: Trx, sessionId: string): Promise<void> {
  await trx
    .updateTable('sessions')
    .set({ ended_at: new Date() })
    .where('id', '=', sessionId)
    .where('ended_at', 'is', null)
    .execute();
}

/** Which of these sessions go on. */
export async function liveSessions(db: Database, ids: readonly string[]): Promise<Set<string>> {
  const rows = await db
    .selectFrom('sessions')
    .select('id')
    .where('id', 'in', ids)
    .where('ended_at', 'is', null)
    .execute();
  return new Set(rows.map((row) => row.id));
}

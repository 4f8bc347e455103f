import { sql } from 'kysely';
import type { Database, Trx } from '../db/database.js';
import { statement } from '../db/statement.js';
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

/** Days for which an address is known that an account was used from. */
const KNOWN_DAYS = 90;
/** Addresses of one account that are known. */
const MAX_KNOWN = 50;

const knownSince = sql<Date>`clock_timestamp() - make_interval(days => ${KNOWN_DAYS})`;

/** The account, and whether it was used from this address; `address` as `rememberAddress` has it. */
export async function accountByEmail(
  db: Database,
  email: string,
  address: string,
): Promise<(UserRow & { readonly isKnown: boolean }) | undefined> {
  return db
    .selectFrom('users')
    .selectAll()
    .select((query) =>
      query
        .exists(
          query
            .selectFrom('known_addresses')
            .select('user_id')
            .whereRef('user_id', '=', 'users.id')
            .where('address', '=', address)
            .where('seen_at', '>', knownSince),
        )
        .$castTo<boolean>()
        .as('isKnown'),
    )
    .where('email', '=', email)
    .executeTakeFirst();
}

/** Remembers that an account is used from an address, and forgets those that it was used from the longest ago. */
export async function rememberAddress(trx: Trx, userId: string, address: string): Promise<void> {
  await trx
    .insertInto('known_addresses')
    .values({ user_id: userId, address })
    .onConflict((conflict) =>
      conflict.columns(['user_id', 'address']).doUpdateSet({ seen_at: sql`clock_timestamp()` }),
    )
    .execute();
  await trx
    .deleteFrom('known_addresses')
    .where('user_id', '=', userId)
    .where('address', 'in', (query) =>
      query
        .selectFrom('known_addresses')
        .select('address')
        .where('user_id', '=', userId)
        .orderBy('seen_at', 'desc')
        .offset(MAX_KNOWN),
    )
    .execute();
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

/** The database's clock: processes' own may be wrong. */
const now = sql<Date>`clock_timestamp()`;

/** Answers when it runs out, `ms` from now. */
export async function insertSession(
  trx: Trx,
  session: { readonly id: string; readonly userId: string; readonly ms: number },
): Promise<Date> {
  const expires_at = sql<Date>`${now} + ${`${String(session.ms)} milliseconds`}::interval`;
  const row = await trx
    .insertInto('sessions')
    .values({ id: session.id, user_id: session.userId, expires_at, ended_at: null })
    .returning('expires_at')
    .executeTakeFirstOrThrow();
  return row.expires_at;
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
      'sessions.id as sessionId',
      'sessions.user_id as userId',
      'sessions.expires_at as expiresAt',
      sql<boolean>`sessions.ended_at is not null or sessions.expires_at <= ${now}`.as('isOver'),
      // Of this token's first use; null before it.
      sql<number | null>`(extract(epoch from ${now} - refresh_tokens.used_at) * 1000)::bigint`.as(
        'usedMsAgo',
      ),
    ])
    .where('refresh_tokens.hash', '=', hash)
    .forUpdate()
    .executeTakeFirst();
}

export async function spendRefreshToken(trx: Trx, hash: string): Promise<void> {
  await trx.updateTable('refresh_tokens').set({ used_at: now }).where('hash', '=', hash).execute();
}

/** Whether there is such a token, and it was never used. */
export async function isUnused(trx: Trx, hash: string): Promise<boolean> {
  const row = await trx
    .selectFrom('refresh_tokens')
    .select('used_at')
    .where('hash', '=', hash)
    .executeTakeFirst();
  return row?.used_at === null;
}

/** Ends a session: no refresh token of it is good any more. */
export async function endSession(trx: Trx, sessionId: string): Promise<void> {
  await trx
    .updateTable('sessions')
    .set({ ended_at: now })
    .where('id', '=', sessionId)
    .where('ended_at', 'is', null)
    .execute();
}

/** Ids that one look at the sessions asks for: however many are signed in, no statement grows with them. */
const SESSIONS_ASKED = 5000;

const liveOf = statement<{ id: string }>(
  'live_sessions',
  'select id from sessions where id = any($1::uuid[]) and ended_at is null',
);

/** Which of these sessions go on. */
export async function liveSessions(db: Database, ids: readonly string[]): Promise<Set<string>> {
  const live = new Set<string>();
  for (let i = 0; i < ids.length; i += SESSIONS_ASKED)
    for (const { id } of await liveOf(db, [ids.slice(i, i + SESSIONS_ASKED)])) live.add(id);
  return live;
}

import { sql } from 'kysely';
import type { Database, Trx } from '../db/database.js';

/**
 * A lease names bytes that no blob names: those of an upload under way, or such as are to be deleted. One that has
 * run out never lives again, so whoever finds it run out may delete the bytes. Time is the database's clock throughout.
 */

const after = (ms: number) => sql<Date>`clock_timestamp() + ${`${String(ms)} milliseconds`}::interval`;
const LONG_AGO = new Date(0);
const now = sql<Date>`clock_timestamp()`;

/** `userId`: who uploads. */
export async function insertLease(
  db: Database | Trx,
  storageKey: string,
  ms: number,
  userId: string | null = null,
): Promise<void> {
  await db
    .insertInto('upload_leases')
    .values({ storage_key: storageKey, expires_at: after(ms), user_id: userId })
    .execute();
}

/** Leases of a user's uploads that have not run out. */
export async function countLeases(trx: Trx, userId: string): Promise<number> {
  const { count } = await trx
    .selectFrom('upload_leases')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('user_id', '=', userId)
    .where('expires_at', '>', now)
    .executeTakeFirstOrThrow();
  return count;
}

/**
 * Whether the lease still stood. One that has run out stays so: its bytes may be half deleted. `hasTime`: by the monotonic clock it has not
 * run out, so the database's has jumped; then it stands until a sweep has marked it.
 */
export async function extendLease(
  db: Database,
  storageKey: string,
  ms: number,
  hasTime = false,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('upload_leases')
    .set({ expires_at: after(ms) })
    .where('storage_key', '=', storageKey)
    .where('expires_at', '>', hasTime ? LONG_AGO : now)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Ends the lease in the transaction that stores the file row, which must hand the bytes on: to a blob, or to the sweeper. False when it had run out: the bytes may be gone. */
export async function redeemLease(trx: Trx, storageKey: string): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('upload_leases')
    .where('storage_key', '=', storageKey)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/**
 * Lets the lease run out now. False when there is none: the upload's last transaction did commit, whatever its caller was
 * told, and the bytes are a file's.
 */
export async function expireLease(db: Database, storageKey: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('upload_leases')
    .set({ expires_at: LONG_AGO })
    .where('storage_key', '=', storageKey)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/**
 * Some leases that have run out, marked so for good: a last transaction that holds one just now is waited for no more than
 * skipped, and one that comes later finds it run out. Those that were let go are marked so already: no clock says that they have run out.
 */
export async function takeExpiredLeases(
  db: Database,
  which: 'let go' | 'let go or run out',
  limit: number,
): Promise<string[]> {
  const rows = await db
    .updateTable('upload_leases')
    .set({ expires_at: LONG_AGO })
    .where('storage_key', 'in', (qb) =>
      qb
        .selectFrom('upload_leases')
        .select('storage_key')
        .where('expires_at', '<=', which === 'let go' ? LONG_AGO : now)
        .orderBy('expires_at')
        .limit(limit)
        .forUpdate()
        .skipLocked(),
    )
    .returning('storage_key')
    .execute();
  return rows.map((row) => row.storage_key);
}

/** Those of the keys that a blob, a variant or a lease names; asked at once, since the one takes over from the other. */
export async function claimedKeys(db: Database, keys: readonly string[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const rows = await db
    .selectFrom('blobs')
    .select('storage_key')
    .where('storage_key', 'in', keys)
    .unionAll((qb) => qb.selectFrom('variants').select('storage_key').where('storage_key', 'in', keys))
    .unionAll((qb) => qb.selectFrom('upload_leases').select('storage_key').where('storage_key', 'in', keys))
    .execute();
  return new Set(rows.map((row) => row.storage_key));
}

/** Hands bytes that nothing names any more to the sweeper. */
export async function insertExpiredLeases(db: Database | Trx, storageKeys: readonly string[]): Promise<void> {
  if (storageKeys.length === 0) return;
  await db
    .insertInto('upload_leases')
    .values(storageKeys.map((storage_key) => ({ storage_key, expires_at: LONG_AGO })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** After the bytes are gone. */
export async function deleteExpiredLease(db: Database, storageKey: string): Promise<void> {
  await db
    .deleteFrom('upload_leases')
    .where('storage_key', '=', storageKey)
    .where('expires_at', '<=', now)
    .execute();
}

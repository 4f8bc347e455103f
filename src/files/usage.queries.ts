import { sql } from 'kysely';
import type { Database, Trx } from '../db/database.js';

/**
 * Bytes of the files that a user has uploaded, and of those in a room, each counted in full as long as it is there. The counts stand in
 * the rows of users and rooms, and change in the transaction that stores or deletes a file. What open uploads over several requests have announced is
 * summed when it is asked for: these are few, and end by themselves.
 */

/** Whose files are counted. */
export type Counted = 'users' | 'rooms';

/** Bytes that are counted now; what is being written at this moment is not among them. */
export async function usedBytes(
  db: Database | Trx,
  { userId, roomId }: { readonly userId: string; readonly roomId: string },
): Promise<Record<Counted, number>> {
  const { users, rooms } = await db
    .selectNoFrom((eb) => [
      eb.selectFrom('users').select('used_bytes').where('id', '=', userId).as('users'),
      eb.selectFrom('rooms').select('used_bytes').where('id', '=', roomId).as('rooms'),
    ])
    .executeTakeFirstOrThrow();
  return { users: users ?? 0, rooms: rooms ?? 0 };
}

/**
 * Bytes that uploads over several requests have announced which are not over, but for `exceptId`: received or not, since all of them may be.
 */
export async function announcedBytes(
  db: Database | Trx,
  { userId, roomId }: { readonly userId: string; readonly roomId: string },
  exceptId: string | null = null,
): Promise<Record<Counted, number>> {
  // The states as the indexes of open uploads name them.
  const open = sql`state in ('RECEIVING', 'PROCESSING') and expires_at > clock_timestamp() and id is distinct from ${exceptId}::uuid`;
  const { rows } = await sql<Record<Counted, number>>`
    select
      (select coalesce(sum(size), 0)::bigint from upload_sessions where user_id = ${userId} and ${open}) as users,
      (select coalesce(sum(size), 0)::bigint from upload_sessions where room_id = ${roomId} and ${open}) as rooms`.execute(
    db,
  );
  return rows[0] ?? { users: 0, rooms: 0 };
}

/** Locks what is counted of a user until `trx` ends: before a room is locked, so that nobody waits in a ring. */
export async function lockUsage(trx: Trx, userId: string): Promise<void> {
  await lockRow(trx, 'users', userId);
}

/** Adds to a count, or takes away from it. False, with nothing changed, when it would be more than `most`; undefined: any number may be. */
export async function addUsed(
  trx: Trx,
  table: Counted,
  id: string,
  bytes: number,
  most?: number,
): Promise<boolean> {
  let query = trx
    .updateTable(table)
    .set((eb) => ({ used_bytes: eb('used_bytes', '+', bytes) }))
    .where('id', '=', id);
  if (most !== undefined) query = query.where((eb) => eb(eb('used_bytes', '+', bytes), '<=', most));
  const { numUpdatedRows } = await query.executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** A count that is not what the rows of files add up to. */
export interface WrongCount {
  readonly table: Counted;
  readonly id: string;
  readonly counted: number;
  readonly found: number;
}

/** All counts that are wrong, as of one moment. */
export async function wrongCounts(db: Database): Promise<WrongCount[]> {
  const { rows } = await sql<WrongCount>`
    select * from (
      select 'users' as "table", u.id, u.used_bytes as counted, coalesce(f.bytes, 0)::bigint as found
      from users u left join (select uploader_id as id, sum(size) as bytes from files where deleted_at is null group by uploader_id) f
        on f.id = u.id
      union all
      select 'rooms', r.id, r.used_bytes, coalesce(f.bytes, 0)::bigint
      from rooms r left join (select room_id as id, sum(size) as bytes from files where deleted_at is null group by room_id) f
        on f.id = r.id
    ) counts where counted <> found order by "table", id`.execute(db);
  return rows;
}

/** Counts anew. Files that come and go meanwhile wait for it. */
export async function recount(trx: Trx, { table, id }: Pick<WrongCount, 'table' | 'id'>): Promise<void> {
  // A statement of its own: the next one must see what those committed that held the lock before.
  await lockRow(trx, table, id);
  const owner = table === 'users' ? 'uploader_id' : 'room_id';
  const { found } = await trx
    .selectFrom('files')
    .select(sql<number>`coalesce(sum(size), 0)::bigint`.as('found'))
    .where(owner, '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow();
  await trx.updateTable(table).set({ used_bytes: found }).where('id', '=', id).execute();
}

async function lockRow(trx: Trx, table: Counted, id: string): Promise<void> {
  await trx.selectFrom(table).select('id').where('id', '=', id).forNoKeyUpdate().execute();
}

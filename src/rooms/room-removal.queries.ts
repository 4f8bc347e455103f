import { sql } from 'kysely';
import type { Database, Trx } from '../db/database.js';

/** From the commit on the room is there for nobody, and its slug is free. */
export async function markRoomDeleted(trx: Trx, roomId: string, at: Date): Promise<void> {
  // No room is ever given such a slug.
  const slug = `deleted:${roomId}`;
  await trx
    .updateTable('rooms')
    .set({ deleted_at: at, slug, visibility: 'PRIVATE' })
    .where('id', '=', roomId)
    .execute();
}

/** Rows of a deleted room that a statement deletes: few enough that nobody waits for it. */
const BATCH = 1000;

/** Deletes some memberships and removals of a deleted room; false once there are none. */
export async function forgetMembers(db: Database, roomId: string): Promise<boolean> {
  for (const table of ['memberships', 'removals']) {
    const name = sql.table(table);
    const { numAffectedRows = 0n } = await sql`
      delete from ${name}
      where room_id = ${roomId} and user_id in (select user_id from ${name} where room_id = ${roomId} limit ${BATCH})`.execute(
      db,
    );
    if (numAffectedRows > 0n) return true;
  }
  return false;
}

/** Deletes the newest events of a deleted room, so that those that are left have no hole; false once there are none. */
export async function forgetNewestEvents(db: Database, roomId: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('room_events')
    .where('room_id', '=', roomId)
    .where('seq', 'in', (qb) =>
      qb
        .selectFrom('room_events')
        .select('seq')
        .where('room_id', '=', roomId)
        .orderBy('seq', 'desc')
        .limit(BATCH),
    )
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/** Deletes the row of a deleted room that holds nothing any more. */
export async function deleteRoomRow(db: Database, roomId: string): Promise<void> {
  await db.deleteFrom('rooms').where('id', '=', roomId).where('deleted_at', 'is not', null).execute();
}

import { sql, type RawBuilder } from 'kysely';
import type { Database } from './database.js';

/** Rooms that are looked at together. */
const ROOMS = 500;
/** Events a statement deletes: few enough that no writer waits for long. */
const BATCH = 1000;

/**
 * Deletes events from before `old`, by small batches, as long as `mayGoOn`. Only rooms whose `trim_at` is before it are
 * looked at: until that time has come none of a room's events may go. The last event before `old` stays, for its cursor
 * is good as long as all that came after it is there.
 */
export async function trimLogs(
  db: Database,
  old: RawBuilder<Date>,
  mayGoOn: () => Promise<boolean>,
): Promise<void> {
  while (await mayGoOn()) {
    const rooms = await dueRooms(db, old);
    if (rooms.length === 0) return;
    const deleted = await deleteOld(db, rooms, old);
    if (deleted === BATCH) continue;
    // None of either: others are at it, or write there all the time. They are looked at again in the next round.
    if ((await settle(db, rooms)) === 0 && deleted === 0) return;
  }
}

async function dueRooms(db: Database, old: RawBuilder<Date>): Promise<string[]> {
  const rows = await db
    .selectFrom('rooms')
    .select('id')
    .where('trim_at', '<', old)
    .orderBy('trim_at')
    .limit(ROOMS)
    .execute();
  return rows.map(({ id }) => id);
}

/** Deletes `BATCH` events at most, the first ones of their rooms; answers how many. */
async function deleteOld(db: Database, rooms: readonly string[], old: RawBuilder<Date>): Promise<number> {
  // A room's events are read in their order, up to the first that is not old; the one before that stays.
  const { numAffectedRows = 0n } = await sql`
    delete from room_events
    where ctid = any (array (
      select event.ctid
      from unnest(${rooms}::uuid[]) as room (id)
      cross join lateral (
        select (
          select seq
          from (select seq, at from room_events where room_id = room.id order by seq limit ${BATCH}) first
          where at >= ${old} limit 1
        ) as young
      ) edge
      cross join lateral (
        select ctid from room_events
        where room_id = room.id and seq < coalesce(edge.young, 9223372036854775807)
          and at < ${old} and (
            select next.at from room_events next
            where next.room_id = room_events.room_id and next.seq > room_events.seq
            order by next.seq limit 1
          ) < ${old}
        order by seq limit ${BATCH}
      ) event
      limit ${BATCH}
    ))`.execute(db);
  return Number(numAffectedRows);
}

/**
 * Notes from when on something may go in these rooms: where both of their first two events are old; never, where there is
 * one alone. Leaves out rooms that are being written to, or have been since the statement began, so that no writer waits.
 * Answers in how many that has changed.
 */
async function settle(db: Database, rooms: readonly string[]): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    update rooms set trim_at = found.trim_at
    from (
      select id, last_seq, (
        select max(at)
        from (select at from room_events where room_id = rooms.id order by seq limit 2) first
        having count(*) = 2
      ) as trim_at
      from rooms
      where id = any (array (select id from rooms where id = any (${rooms}::uuid[]) for no key update skip locked))
    ) found
    where rooms.id = found.id and rooms.last_seq = found.last_seq
      and rooms.trim_at is distinct from found.trim_at`.execute(db);
  return Number(numAffectedRows);
}

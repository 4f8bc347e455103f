import type { Kysely, Transaction } from 'kysely';
import { newTag } from '../db/ids.js';
import { statement } from '../db/statement.js';
import type { NewRoomEvent, RoomEventRow, Tables } from '../db/tables.js';
import { ParleyError } from '../errors.js';
import { counts } from '../observability/counts.js';
import { decodeEventCursor, encodeEventCursor } from './event-cursor.js';

/**
 * The room log: every durable thing that happens in a room is one row, numbered by a dense `seq` in commit order.
 * `append` takes the number by updating the room's row inside the writer's transaction, so the row's lock makes the order
 * of numbers the order of commits; whatever may still refuse the write must be decided before it is called.
 */

export type EventSubject = Pick<NewRoomEvent, 'kind' | 'actor_id'> &
  Partial<Pick<NewRoomEvent, 'message_id' | 'file_id' | 'user_id' | 'role'>>;

/** By how much the write changes what the room's row counts. */
export interface CountChanges {
  readonly members?: number;
  readonly messages?: number;
  readonly files?: number;
}

/** The end of a room's log: the seq and tag of its newest event, or 0 and the room's own tag. */
export interface LogHead {
  readonly seq: number;
  readonly tag: string;
}

/** The database's clock, in milliseconds. */
export const NOW = 'clock_timestamp()::timestamptz(3)';

/**
 * Moves a room's head: whatever takes a seq begins with this. Its parameters are `headMove`'s, a condition and `returning` may
 * follow.
 */
export const MOVE_HEAD = `
  update rooms set last_seq = last_seq + $2, last_tag = $3,
    member_count = member_count + $4, message_count = message_count + $5, file_count = file_count + $6,
    trim_at = coalesce(trim_at, ${NOW})
  where id = $1`;

/** $1 to $6 of `MOVE_HEAD`, for so many events, the last of which bears `tag`. */
export const headMove = (
  roomId: string,
  events: number,
  tag: string,
  { members = 0, messages = 0, files = 0 }: CountChanges = {},
): unknown[] => [roomId, events, tag, members, messages, files];

const takeOne = statement<LogHead & { at: Date }>(
  'take_seq',
  `${MOVE_HEAD} returning last_seq as seq, last_tag as tag, ${NOW} as at`,
);

/**
 * Takes the room's next seq. The row it updates stays locked until `trx` ends. `at` is the database's clock, in
 * milliseconds, the same for everything that the write stores.
 */
export async function takeSeq(
  trx: Transaction<Tables>,
  roomId: string,
  counts?: CountChanges,
): Promise<LogHead & { at: Date }> {
  const [place] = await takeOne(trx, headMove(roomId, 1, newTag(), counts));
  if (place === undefined) throw new Error(`room ${roomId} is missing`);
  return place;
}

/** Writes the event at the place that `takeSeq` took. */
export async function appendEvent(
  trx: Transaction<Tables>,
  roomId: string,
  place: LogHead & { at: Date },
  subject: EventSubject,
): Promise<void> {
  await trx
    .insertInto('room_events')
    .values({ room_id: roomId, seq: place.seq, tag: place.tag, at: place.at, ...subject })
    .execute();
}

/** The events after `afterSeq` in order, `limit` at most, as far as they are kept. */
export async function readLog(
  db: Kysely<Tables>,
  roomId: string,
  afterSeq: number,
  limit: number,
): Promise<RoomEventRow[]> {
  return db
    .selectFrom('room_events')
    .selectAll()
    .where('room_id', '=', roomId)
    .where('seq', '>', afterSeq)
    .orderBy('seq')
    .limit(limit)
    .execute();
}

/** Passes on rows that follow `afterSeq` without a hole. Throws CURSOR_EXPIRED otherwise: something was trimmed away. */
export function contiguous(rows: readonly RoomEventRow[], afterSeq: number): readonly RoomEventRow[] {
  if (rows.some((row, index) => row.seq !== afterSeq + 1 + index)) throw cursorExpired();
  return rows;
}

/** The heads of some rooms now, by room id; a room that is gone, or going, is missing. */
export async function readHeads(
  db: Kysely<Tables>,
  roomIds: readonly string[],
): Promise<Map<string, LogHead>> {
  const rows = await db
    .selectFrom('rooms')
    .select(['id', 'last_seq', 'last_tag'])
    .where('id', 'in', roomIds)
    .where('deleted_at', 'is', null)
    .execute();
  return new Map(rows.map((row) => [row.id, { seq: row.last_seq, tag: row.last_tag }]));
}

/**
 * The place that a client's cursor names, once it is known to be in this room's log. Throws BAD_CURSOR for what is no
 * event cursor of this room, CURSOR_EXPIRED for one that the log no longer holds (trimmed away, or from a history that
 * a restore or a failover undid); both carry the room's head, so that the client can refetch and go on from there.
 */
export async function resolveCursor(
  db: Kysely<Tables>,
  room: { id: string; tag: string },
  head: LogHead,
  text: string,
): Promise<LogHead> {
  const eventCursor = encodeEventCursor({ roomId: room.id, ...head });
  const cursor = decodeEventCursor(text);
  if (cursor?.roomId !== room.id) {
    throw new ParleyError('BAD_CURSOR', '`after` must be an event cursor of this room.', {
      eventCursor,
      field: 'after',
    });
  }
  if (!(await logHolds(db, room, head, cursor))) {
    counts.gaps.cursor += 1;
    throw cursorExpired(eventCursor);
  }
  return { seq: cursor.seq, tag: cursor.tag };
}

async function logHolds(
  db: Kysely<Tables>,
  room: { id: string; tag: string },
  head: LogHead,
  place: LogHead,
): Promise<boolean> {
  // The head's own event may be trimmed away, in a room that was quiet for long.
  if (place.seq === head.seq) return place.tag === head.tag;
  if (place.seq === 0) return place.tag === room.tag;
  return holdsEvent(db, room.id, place);
}

/** Whether the event at this place is this one. */
export async function holdsEvent(db: Kysely<Tables>, roomId: string, place: LogHead): Promise<boolean> {
  const row = await db
    .selectFrom('room_events')
    .select('tag')
    .where('room_id', '=', roomId)
    .where('seq', '=', place.seq)
    .executeTakeFirst();
  return row?.tag === place.tag;
}

/**
 * The place before the newest `count` events that are still kept, from which reading yields them.
 * At the start of what is kept it is named by the tag of the event before, which may be trimmed: undefined then.
 */
export async function placeBeforeLast(
  db: Kysely<Tables>,
  roomId: string,
  head: LogHead,
  count: number,
): Promise<number> {
  const oldest = await db
    .selectFrom('room_events')
    .select('seq')
    .where('room_id', '=', roomId)
    .where('seq', '>', head.seq - count)
    .orderBy('seq')
    .limit(1)
    .executeTakeFirst();
  return oldest === undefined ? head.seq : oldest.seq - 1;
}

export const cursorExpired = (eventCursor?: string): ParleyError =>
  new ParleyError(
    'CURSOR_EXPIRED',
    'The log no longer reaches back to this cursor: fetch the lists again and subscribe after their `eventCursor`.',
    eventCursor === undefined ? {} : { eventCursor },
  );

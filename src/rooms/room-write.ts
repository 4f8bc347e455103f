import { transaction, type Database, type Trx } from '../db/database.js';
import type { RoomRole, RoomRow } from '../db/tables.js';
import { roomTopic, type Bus, type RoomSignal } from '../events/bus.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import {
  appendEvent,
  takeSeq,
  type CountChanges,
  type EventSubject,
  type LogHead,
} from '../events/event-log.js';
import { notFound } from '../errors.js';
import { canSee } from './rooms.policy.js';
import { lockRoom } from './rooms.queries.js';

/** A room under its lock: rights and keys are decided first, then `take` a place in the log, store, `append`. */
export interface RoomWrite {
  readonly trx: Trx;
  readonly room: RoomRow;
  /** The actor's role now, under the lock; undefined for one who is no member. */
  readonly role: RoomRole | undefined;
  /** The next place in the log. Nothing may refuse the write after this. */
  take(counts?: CountChanges): Promise<LogHead & { at: Date }>;
  /** Writes the event at the place; answers its cursor. Subscribers are woken after the commit. */
  append(place: LogHead & { at: Date }, subject: EventSubject): Promise<string>;
}

/**
 * Every durable write in a room: lock the room's row, let `work` decide and store, commit, wake the subscribers.
 * Throws NOT_FOUND for a room that the actor cannot see, in the name of `what` they asked for.
 */
export async function writeInRoom<T>(
  { db, bus }: { readonly db: Database; readonly bus: Bus },
  actorId: string,
  roomId: string,
  work: (write: RoomWrite) => Promise<T>,
  what = 'The room',
): Promise<T> {
  return transaction(db, async (trx, afterCommit) => {
    const locked = await lockRoom(trx, roomId, actorId);
    if (locked === undefined || !canSee(locked.room, locked.role)) throw notFound(what);
    return work({
      trx,
      ...locked,
      take: (counts) => takeSeq(trx, roomId, counts),
      append: async (place, subject) => {
        await appendEvent(trx, roomId, place, subject);
        const signal: RoomSignal = { type: 'event', seq: place.seq };
        afterCommit(() => {
          bus.publish(roomTopic(roomId), signal);
        });
        return encodeEventCursor({ roomId, seq: place.seq, tag: place.tag });
      },
    });
  });
}

import { transaction, type Database, type Trx } from '../db/database.js';
import { throughOutage } from '../db/outage.js';
import type { RoomRole, RoomRow } from '../db/tables.js';
import { roomTopic, type Bus, type RoomSignal } from '../events/bus.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import {
  appendEvent,
  holdsEvent,
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
 * Every durable write in a room: lock the room's row, let `work` decide and store, commit, wake the subscribers. When the database
 * goes away under it, it is done again, by calling `work` again, unless the log says that the commit whose answer was lost had
 * happened. Throws NOT_FOUND for a room that the actor cannot see, in the name of `what` they asked for.
 */
export async function writeInRoom<T>(
  { db, bus }: { readonly db: Database; readonly bus: Bus },
  actorId: string,
  roomId: string,
  work: (write: RoomWrite) => Promise<T>,
  what = 'The room',
): Promise<T> {
  /** What the attempt before had written when it came to its commit. */
  let written: { readonly place: LogHead; readonly value: T } | undefined;
  return throughOutage(() =>
    transaction(db, async (trx, afterCommit) => {
      const wakeFor = ({ seq }: LogHead): void => {
        const signal: RoomSignal = { type: 'event', seq };
        afterCommit(() => {
          bus.publish(roomTopic(roomId), signal);
        });
      };
      // Under the lock that the attempt before has held to its end.
      const locked = await lockRoom(trx, roomId, actorId);
      if (written !== undefined && (await holdsEvent(trx, roomId, written.place))) {
        wakeFor(written.place);
        return written.value;
      }
      written = undefined;
      if (locked === undefined || !canSee(locked.room, locked.role)) throw notFound(what);
      let place: LogHead | undefined;
      const value = await work({
        trx,
        ...locked,
        take: (counts) => takeSeq(trx, roomId, counts),
        append: async (taken, subject) => {
          await appendEvent(trx, roomId, taken, subject);
          wakeFor(taken);
          place = taken;
          return encodeEventCursor({ roomId, seq: taken.seq, tag: taken.tag });
        },
      });
      if (place !== undefined) written = { place, value };
      return value;
    }),
  );
}

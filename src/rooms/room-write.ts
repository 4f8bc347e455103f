import { transaction, type Database, type Trx } from '../db/database.js';
import { throughOutage } from '../db/outage.js';
import type { RoomRole } from '../db/tables.js';
import { wakeRoom, type Bus } from '../events/bus.js';
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
import { lockRoom, roomWithRoles, type RoomState } from './rooms.queries.js';

/** A room under its lock: rights and keys are decided first, then `take` a place in the log, store, `append`. */
export interface RoomWrite {
  readonly trx: Trx;
  readonly room: RoomState;
  /** The actor's role now, under the lock; undefined for one who is no member. */
  readonly role: RoomRole | undefined;
  /** The next place in the log. Nothing may refuse the write after this. */
  take(counts?: CountChanges): Promise<LogHead & { at: Date }>;
  /** Writes the event at the place; answers its cursor. Subscribers are woken after the commit. */
  append(place: LogHead & { at: Date }, subject: EventSubject): Promise<string>;
}

/** What an attempt had written when it came to its commit: its last place in the log, and what the caller is answered. */
export interface Written<T> {
  readonly place: LogHead;
  readonly value: T;
}

/**
 * One transaction under the room's lock. `before` is what an attempt had written whose end is not known: where the log holds it,
 * that is the answer, and `work` is not called. `wake` tells the subscribers of a seq after the commit. `lockFirst` takes what is locked before
 * rooms are, and changes nothing.
 */
export async function underRoomLock<T>(
  { db, bus }: { readonly db: Database; readonly bus: Bus },
  roomId: string,
  before: Written<T> | undefined,
  work: (trx: Trx, wake: (seq: number) => void) => Promise<T>,
  lockFirst?: (trx: Trx) => Promise<void>,
): Promise<T> {
  return transaction(db, async (trx, afterCommit) => {
    const wake = (seq: number): void => afterCommit(() => wakeRoom(bus, roomId, seq));
    await lockFirst?.(trx);
    // The attempt before has held the same lock to its end.
    await lockRoom(trx, roomId);
    if (before !== undefined && (await holdsEvent(trx, roomId, before.place))) {
      wake(before.place.seq);
      return before.value;
    }
    return work(trx, wake);
  });
}

/**
 * Every durable write in a room but the posting of messages: lock the room's row, let `work` decide and store, commit, wake the subscribers. When the database
 * goes away under it, it is done again, by calling `work` again, unless the log says that the commit whose answer was lost had
 * happened. Throws NOT_FOUND for a room that the actor cannot see, in the name of `what` they asked for.
 * `lockFirst` takes the locks that come before the room's (the order is: a user's usage, a room, a blob).
 */
export async function writeInRoom<T>(
  deps: { readonly db: Database; readonly bus: Bus },
  actorId: string,
  roomId: string,
  work: (write: RoomWrite) => Promise<T>,
  { what = 'The room', lockFirst }: { what?: string; lockFirst?: (trx: Trx) => Promise<void> } = {},
): Promise<T> {
  let written: Written<T> | undefined;
  return throughOutage(() =>
    underRoomLock(
      deps,
      roomId,
      written,
      async (trx, wake) => {
        written = undefined;
        // A statement of its own: it must see what the writers before us committed while we waited for the lock.
        const found = await roomWithRoles(trx, roomId, [actorId]);
        const role = found?.roles.get(actorId);
        if (found === undefined || !canSee(found.room, role)) throw notFound(what);
        let place: LogHead | undefined;
        const value = await work({
          trx,
          room: found.room,
          role,
          take: (counts) => takeSeq(trx, roomId, counts),
          append: async (taken, subject) => {
            await appendEvent(trx, roomId, taken, subject);
            wake(taken.seq);
            place = taken;
            return encodeEventCursor({ roomId, seq: taken.seq, tag: taken.tag });
          },
        });
        if (place !== undefined) written = { place, value };
        return value;
      },
      lockFirst,
    ),
  );
}

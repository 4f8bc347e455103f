import type { Database } from '../db/database.js';
import type { JobKind } from '../jobs/job-runner.js';
import { deleteRoomRow, forgetMembers, forgetNewestEvents } from './room-removal.queries.js';

/** As `addJob` names it; its subject is the room's id. */
export const REMOVE_ROOM = 'remove room';

/** Deletes some of what a deleted room holds, in a transaction of its own. Answers whether there may be more. */
export type EmptyRoom = (db: Database, roomId: string) => Promise<boolean>;

/**
 * The job that deletes what a deleted room holds, which nobody sees any more: what the slices above keep in it (`emptying`, in this order), its
 * members, its log, and the room at last. In batches, so that nobody waits for it; each stands by itself, so it goes on where a crash broke it
 * off, and two processes that are at it do no harm.
 */
export function roomRemoval({ db }: { readonly db: Database }, emptying: readonly EmptyRoom[]): JobKind {
  const steps: readonly EmptyRoom[] = [...emptying, forgetMembers, forgetNewestEvents];
  return {
    kind: REMOVE_ROOM,
    atOnce: 2,
    perOwner: 1,
    run: async (roomId, signal) => {
      for (const step of steps) while (await step(db, roomId)) signal.throwIfAborted();
      await deleteRoomRow(db, roomId);
    },
  };
}

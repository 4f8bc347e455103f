import { sql } from 'kysely';
import type { Database } from '../../db/database.js';
import type { Fenced } from './upload-sessions.queries.js';

const after = (ms: number) => sql<Date>`clock_timestamp() + ${`${String(ms)} milliseconds`}::interval`;
const now = sql<Date>`clock_timestamp()`;

/**
 * Takes the lock on an upload, if nobody has it or its holder fell silent; answers its fence. Whoever did not let go may still be writing, so the
 * number of the next part is passed over.
 */
export async function takeLock(db: Database, id: string, ms: number): Promise<number | undefined> {
  const row = await db
    .updateTable('upload_sessions')
    .set((eb) => ({
      fence: eb('fence', '+', 1),
      held_until: after(ms),
      next_part: sql<number>`next_part + case when held_until is null then 0 else 1 end`,
    }))
    .where('id', '=', id)
    .where((eb) => eb.or([eb('held_until', 'is', null), eb('held_until', '<=', now)]))
    .returning('fence')
    .executeTakeFirst();
  return row?.fence;
}

/** Asks whoever has the lock now to let it go. False where there is no such upload. */
export async function askToLetGo(db: Database, id: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('upload_sessions')
    .set((eb) => ({ let_go: eb.ref('fence') }))
    .where('id', '=', id)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Holds on to locks for `ms` more, unless they were let go while the heartbeat was on its way. Answers those that are still held, and whether they are asked for. */
export async function holdLocks(
  db: Database,
  held: readonly Fenced[],
  ms: number,
): Promise<{ readonly id: string; readonly isWanted: boolean }[]> {
  const { rows } = await sql<{ id: string; isWanted: boolean }>`
    update upload_sessions set held_until = ${after(ms)}
    from unnest(${held.map(({ id }) => id)}::uuid[], ${held.map(({ fence }) => fence)}::int[]) as held (id, fence)
    where upload_sessions.id = held.id and upload_sessions.fence = held.fence and upload_sessions.held_until is not null
    returning upload_sessions.id, let_go = upload_sessions.fence as "isWanted"`.execute(db);
  return rows;
}

/** Lets a lock go, unless another has it. */
export async function releaseLock(db: Database, { id, fence }: Fenced): Promise<void> {
  await db
    .updateTable('upload_sessions')
    .set({ held_until: null })
    .where('id', '=', id)
    .where('fence', '=', fence)
    .execute();
}

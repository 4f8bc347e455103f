import { sql } from 'kysely';
import type { Database, Trx } from '../db/database.js';

/** Time is the database's clock throughout. */
const now = sql<Date>`clock_timestamp()`;
const after = (ms: number) => sql<Date>`clock_timestamp() + ${`${String(ms)} milliseconds`}::interval`;

/** A job that this process holds. `attempts` tells its hold from an earlier one, and from a later one. */
export interface HeldJob {
  readonly kind: string;
  readonly subject: string;
  /** Whose work it is; null for nobody's in particular. */
  readonly owner: string | null;
  /** Times that it was begun, this one included. */
  readonly attempts: number;
}

/**
 * Asks for a job in the transaction that makes it due, so that it is neither lost nor done for nothing. One that is asked for already,
 * or under way, is not asked for twice. `owner`: the user whose work it is, each of whose jobs takes its turn
 * as if it came a minute after the one before: so somebody's first comes before another's many, and those wait no longer than for their minutes.
 */
export async function addJob(trx: Trx, kind: string, subject: string, owner: string): Promise<void> {
  const next = sql`select max(turn) + interval '1 minute' from jobs where kind = ${kind} and owner = ${owner}`;
  await trx
    .insertInto('jobs')
    .values({ kind, subject, owner, turn: sql<Date>`greatest(clock_timestamp(), (${next}))` })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Nobody wants it any more, in the transaction that says so. One that is under way is ended by itself. */
export async function dropJob(trx: Trx, kind: string, subject: string): Promise<void> {
  await trx.deleteFrom('jobs').where('kind', '=', kind).where('subject', '=', subject).execute();
}

/**
 * Takes the job of a kind that is due whose turn comes first, and holds it for `holdMs`; none of `busy` owners. Several
 * processes take different ones.
 */
export async function takeJob(
  db: Database,
  kind: string,
  busy: readonly string[],
  holdMs: number,
): Promise<HeldJob | undefined> {
  return db
    .updateTable('jobs')
    .set((eb) => ({ run_at: after(holdMs), attempts: eb('attempts', '+', 1) }))
    .where('kind', '=', kind)
    .where('subject', 'in', (qb) =>
      qb
        .selectFrom('jobs')
        .select('subject')
        .where('kind', '=', kind)
        .where('run_at', '<=', now)
        .where(sql<boolean>`(owner is null or owner <> all (${busy}::text[]))`)
        .orderBy('turn')
        .limit(1)
        .forUpdate()
        .skipLocked(),
    )
    .returning(['kind', 'subject', 'owner', 'attempts'])
    .executeTakeFirst();
}

/** Leaves a job to any other process, now, as if it had not been begun here. */
export async function letJobGo(db: Database, { kind, subject, attempts }: HeldJob): Promise<void> {
  await db
    .updateTable('jobs')
    .set({ run_at: now, attempts: attempts - 1 })
    .where('kind', '=', kind)
    .where('subject', '=', subject)
    .where('attempts', '=', attempts)
    .execute();
}

/** The job is done, or given up. */
export async function endJob(db: Database, { kind, subject, attempts }: HeldJob): Promise<void> {
  await db
    .deleteFrom('jobs')
    .where('kind', '=', kind)
    .where('subject', '=', subject)
    .where('attempts', '=', attempts)
    .execute();
}

/**
 * Puts the job's time off by so many milliseconds: it is held on for as long, or tried again then. False once it was taken for dead, and
 * begun by another process or ended.
 */
export async function putJobOff(
  db: Database,
  { kind, subject, attempts }: HeldJob,
  ms: number,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('jobs')
    .set({ run_at: after(ms) })
    .where('kind', '=', kind)
    .where('subject', '=', subject)
    .where('attempts', '=', attempts)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

import type { Kysely, Transaction } from 'kysely';
import type { Tables } from './tables.js';

export type Database = Kysely<Tables>;
export type Trx = Transaction<Tables>;

/**
 * Runs `work` in one transaction. What it hands to `afterCommit` runs once the commit is acknowledged, in order, and
 * never after a rollback: a side effect must not be seen before the truth it tells of.
 */
export async function transaction<T>(
  db: Database,
  work: (trx: Trx, afterCommit: (effect: () => void) => void) => Promise<T>,
): Promise<T> {
  const effects: (() => void)[] = [];
  const result = await db.transaction().execute((trx) => work(trx, (effect) => effects.push(effect)));
  for (const effect of effects) effect();
  return result;
}

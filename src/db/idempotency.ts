import { createHash } from 'node:crypto';
import { conflict } from '../errors.js';
import type { Trx } from './database.js';

export interface IdempotentCall {
  readonly userId: string;
  readonly mutation: string;
  readonly key: string;
  /** Everything that makes the call what it is, the key itself left out. */
  readonly input: unknown;
}

/**
 * Answers the outcome of the first call with this key, or undefined when this is the first: then `recordOutcome` must
 * follow in the same transaction. A concurrent twin waits here until the first has committed or rolled back. Call it
 * under the room's lock, before a seq is taken. Throws CONFLICT when the key was used with another input.
 */
export async function claimKey<Outcome>(trx: Trx, call: IdempotentCall): Promise<Outcome | undefined> {
  const inputHash = hashOf(call.input);
  const claimed = await trx
    .insertInto('idempotency_keys')
    .values({
      user_id: call.userId,
      mutation: call.mutation,
      key: call.key,
      input_hash: inputHash,
      outcome: null,
    })
    .onConflict((oc) => oc.doNothing())
    .returning('key')
    .executeTakeFirst();
  if (claimed !== undefined) return undefined;
  const first = await trx
    .selectFrom('idempotency_keys')
    .select(['input_hash', 'outcome'])
    .where('user_id', '=', call.userId)
    .where('mutation', '=', call.mutation)
    .where('key', '=', call.key)
    .executeTakeFirstOrThrow();
  if (first.input_hash !== inputHash) {
    throw conflict(
      'input.idempotencyKey',
      'This idempotency key was used with another input: take a new key.',
    );
  }
  return JSON.parse(first.outcome ?? 'null') as Outcome;
}

/** Stores what later calls with the same key answer. `outcome` is stored as JSON: ids, not rows. */
export async function recordOutcome(trx: Trx, call: IdempotentCall, outcome: unknown): Promise<void> {
  await trx
    .updateTable('idempotency_keys')
    .set({ outcome: JSON.stringify(outcome) })
    .where('user_id', '=', call.userId)
    .where('mutation', '=', call.mutation)
    .where('key', '=', call.key)
    .execute();
}

/** Object keys are sorted, so that two clients that order them differently mean the same. */
function hashOf(input: unknown): string {
  const canonical = JSON.stringify(input, (_key, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return createHash('sha256').update(canonical).digest('hex');
}

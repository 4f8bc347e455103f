import { createHash } from 'node:crypto';
import { conflict } from '../errors.js';
import type { Database, Trx } from './database.js';

export interface IdempotentCall {
  readonly userId: string;
  readonly mutation: string;
  readonly key: string;
  /** Everything that makes the call what it is, the key itself left out. */
  readonly input: unknown;
}

/** What is kept of the first call with a key. */
export interface FirstCall {
  readonly inputHash: string;
  /** JSON; null until it is recorded. */
  readonly outcome: string | null;
}

/** The outcome of the first call with this key. Throws CONFLICT when that had another input. */
export function outcomeOf(first: FirstCall, inputHash: string): unknown {
  if (first.inputHash === inputHash) return JSON.parse(first.outcome ?? 'null');
  throw conflict('input.idempotencyKey', 'This idempotency key was used with another input: take a new key.');
}

type UserKey = Pick<IdempotentCall, 'userId' | 'key'>;

/** Names a user's key among those of one mutation. */
export const userKey = ({ userId, key }: UserKey): string => `${userId}:${key}`;

/** Those of one mutation's first calls with these keys that there are, each under its `userKey`. */
export async function firstCalls(
  db: Database | Trx,
  mutation: string,
  keys: readonly UserKey[],
): Promise<Map<string, FirstCall>> {
  if (keys.length === 0) return new Map();
  const rows = await db
    .selectFrom('idempotency_keys')
    .select(['user_id', 'key', 'input_hash', 'outcome'])
    .where((eb) =>
      eb(
        eb.refTuple('user_id', 'mutation', 'key'),
        'in',
        keys.map(({ userId, key }) => eb.tuple(userId, mutation, key)),
      ),
    )
    .execute();
  return new Map(
    rows.map((row) => [
      userKey({ userId: row.user_id, key: row.key }),
      { inputHash: row.input_hash, outcome: row.outcome },
    ]),
  );
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
  const first = (await firstCalls(trx, call.mutation, [call])).get(userKey(call));
  if (first === undefined) throw new Error('an idempotency key is neither free nor taken');
  return outcomeOf(first, inputHash) as Outcome;
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
export function hashOf(input: unknown): string {
  const canonical = JSON.stringify(input, (_key, value: unknown) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return createHash('sha256').update(canonical).digest('hex');
}

import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FairQueue, type FairQueueLimits } from './fair-queue.js';

const LIMITS: FairQueueLimits = { places: 3, placesPerKey: 2, waiting: 8, waitingPerKey: 4 };
const ONE_AT_A_TIME = { places: 1, placesPerKey: 1 };

/** A queue whose work ends when it is told to. Each piece is named by its key and a number. */
function underTest(limits: Partial<FairQueueLimits> = {}) {
  const queue = new FairQueue({ ...LIMITS, ...limits }, (waiting) => new Error(`${String(waiting)} wait`));
  const prepared: string[] = [];
  const begun: string[] = [];
  const outcomes: Record<string, string> = {};
  const ends = new Map<string, (error?: Error) => void>();
  let count = 0;
  const add = (...keys: string[]): void => {
    for (const key of keys) {
      const name = `${key}${String(++count)}`;
      const work = (): Promise<void> => {
        begun.push(name);
        return new Promise((resolve, reject) => {
          ends.set(name, (error) => (error === undefined ? resolve() : reject(error)));
        });
      };
      queue
        .runPrepared(key, () => Promise.resolve(prepared.push(name)), work)
        .then(
          () => (outcomes[name] = 'done'),
          (error: unknown) => (outcomes[name] = (error as Error).message),
        );
    }
  };
  const end = async (name: string, error?: Error): Promise<void> => {
    await turn();
    ends.get(name)?.(error);
    ends.delete(name);
    await turn();
  };
  /** Ends one after the other until none is left. */
  const drain = async (): Promise<void> => {
    await turn();
    while (ends.size > 0) for (const name of ends.keys()) await end(name);
  };
  return { begun, prepared, outcomes, add, end, drain };
}

describe('A fair queue', () => {
  test('leaves a place to others, however much one key has', async () => {
    const { begun, add } = underTest();
    add('a', 'a', 'a', 'a', 'a', 'a', 'b');
    await turn();
    expect(begun).toEqual(['a1', 'a2', 'b7']);
  });

  test('gives places out in turn, and to the work of each key in its order', async () => {
    const { begun, add, drain } = underTest(ONE_AT_A_TIME);
    add('a', 'a', 'a', 'b', 'b', 'c');
    await drain();
    expect(begun).toEqual(['a1', 'a2', 'b4', 'c6', 'a3', 'b5']);
  });

  test('puts one who comes later before all but one of each other key', async () => {
    const { begun, add, drain } = underTest(ONE_AT_A_TIME);
    add('a', 'a', 'a');
    await turn();
    add('b');
    await drain();
    expect(begun).toEqual(['a1', 'a2', 'b4', 'a3']);
  });

  test('lets no key overtake for ever that comes again and again with one piece of work', async () => {
    const { begun, add, end } = underTest(ONE_AT_A_TIME);
    add('a', 'a', 'a', 'b');
    await end('a1');
    add('c');
    await end('a2');
    await end('b4');
    add('b');
    await end('a3');
    await end('c5');
    expect(begun).toEqual(['a1', 'a2', 'b4', 'a3', 'c5', 'b6']);
  });

  test('refuses what is too much of one key before it prepares anything, and takes what others ask', async () => {
    const { begun, prepared, outcomes, add, drain } = underTest({ ...ONE_AT_A_TIME, waitingPerKey: 2 });
    add('a', 'a', 'a', 'a', 'b');
    await drain();
    expect(begun).toEqual(['a1', 'a2', 'b5', 'a3']);
    expect(prepared).toEqual(['a1', 'a2', 'a3', 'b5']);
    expect(outcomes).toMatchObject({ a4: '2 wait', b5: 'done' });
  });

  test('lets the newest of the key with the most give way when it is full', async () => {
    const { begun, outcomes, add, drain } = underTest({ ...ONE_AT_A_TIME, waiting: 4 });
    add('a', 'a', 'a', 'a', 'b', 'c', 'd', 'd');
    await drain();
    expect(begun).toEqual(['a1', 'a2', 'b5', 'c6', 'd7']);
    expect(outcomes).toMatchObject({ a3: '3 wait', a4: '3 wait', d8: '4 wait' });
  });

  test('goes on behind work that fails or could not be prepared, and forgets a key that has none', async () => {
    const { begun, add, end } = underTest(ONE_AT_A_TIME);
    add('a', 'a', 'b');
    await end('a1', new Error('broken'));
    await end('a2');
    await end('b3');
    add('c');
    await turn();
    expect(begun).toEqual(['a1', 'a2', 'b3', 'c4']);

    const queue = new FairQueue({ ...LIMITS, ...ONE_AT_A_TIME }, () => new Error('full'));
    const outcomes = await Promise.allSettled([
      queue.run('a', () => Promise.reject(new Error('broken'))),
      queue.runPrepared(
        'a',
        () => Promise.reject(new Error('unprepared')),
        () => Promise.resolve(2),
      ),
      queue.run('a', () => Promise.resolve(3)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  });
});

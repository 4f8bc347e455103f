import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FairQueue, type FairQueueLimits } from './fair-queue.js';

const LIMITS: FairQueueLimits = { places: 3, perOwner: 2, waitingPerOwner: 4, waiting: 8 };
const refusal = (): Error => new Error('too many');

/** A queue whose work ends when it is told to. */
function underTest(limits: Partial<FairQueueLimits> = {}) {
  const queue = new FairQueue({ ...LIMITS, ...limits });
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  let count = 0;
  const add = (owner: string): Promise<void> => {
    const name = `${owner}${String(++count)}`;
    const work = (): Promise<void> => {
      begun.push(name);
      return new Promise((resolve, reject) => {
        ends.set(name, (error) => (error === undefined ? resolve() : reject(error)));
      });
    };
    return queue.run(owner, work, refusal);
  };
  const end = async (name: string, error?: Error): Promise<void> => {
    ends.get(name)?.(error);
    ends.delete(name);
    await turn();
  };
  return { begun, add, end, running: () => [...ends.keys()] };
}

describe('A fair queue', () => {
  test('leaves a place to others, however much one owner has', async () => {
    const { begun, add } = underTest();
    for (let i = 0; i < 6; i += 1) void add('a');
    void add('b');
    await turn();
    expect(begun).toEqual(['a1', 'a2', 'b7']);
  });

  test('gives places out in turn, and to each owner in their order', async () => {
    const { begun, add, end, running } = underTest({ places: 1, perOwner: 1 });
    for (const owner of 'aaabbc') void add(owner);
    await turn();
    for (let i = 0; i < 6; i += 1) await end(running()[0]!);
    expect(begun).toEqual(['a1', 'a2', 'b4', 'c6', 'a3', 'b5']);
  });

  test('puts one who comes later before all but one of each other owner', async () => {
    const { begun, add, end } = underTest({ places: 1, perOwner: 1 });
    for (const owner of 'aaa') void add(owner);
    await turn();
    void add('b');
    await end('a1');
    await end('a2');
    await end('b4');
    expect(begun).toEqual(['a1', 'a2', 'b4', 'a3']);
  });

  test('lets nobody overtake for ever who comes again and again with one piece of work', async () => {
    const { begun, add, end } = underTest({ places: 1, perOwner: 1 });
    for (const owner of 'aaa') void add(owner);
    await turn();
    void add('b');
    await end('a1');
    void add('c');
    await end('a2');
    await end('b4');
    void add('b');
    await end('a3');
    expect(begun).toEqual(['a1', 'a2', 'b4', 'a3', 'c5']);
    await end('c5');
    expect(begun.at(-1)).toBe('b6');
  });

  test('refuses the work of one owner who has too much waiting, and nobody else', async () => {
    const { add } = underTest();
    for (let i = 0; i < 6; i += 1) void add('a');
    await expect(add('a')).rejects.toThrow('too many');
    for (let i = 0; i < 5; i += 1) void add('b');
    await expect(add('b')).rejects.toThrow('too many');
    // All together are too many now: those who have nothing waiting may wait.
    void add('c');
    await expect(add('c')).rejects.toThrow('too many');
    void add('d');
    await turn();
  });

  test('goes on behind work that fails, and forgets who has none', async () => {
    const { begun, add, end } = underTest({ places: 1, perOwner: 1 });
    const first = add('a');
    void add('a');
    void add('b');
    await turn();
    const failed = expect(first).rejects.toThrow('broken');
    await end('a1', new Error('broken'));
    await failed;
    await end('a2');
    await end('b3');
    void add('c');
    await turn();
    expect(begun.at(-1)).toBe('c4');
    expect(begun).toHaveLength(4);
  });
});

import { describe, expect, test } from 'vitest';
import { FairQueue } from './fair-queue.js';

/** A queue whose works end when they are told to; `log` has the keys in the order in which they began. */
function queueOf(total: number, perKey: number) {
  const queue = new FairQueue({ total, perKey }, (waiting) => new Error(`${String(waiting)} wait`));
  const log: string[] = [];
  const prepared: string[] = [];
  const running: (() => void)[] = [];
  const outcomes: Record<string, string> = {};
  const add = (name: string): void => {
    const [key = ''] = name;
    queue
      .run(
        key,
        () => Promise.resolve(prepared.push(name)),
        () => {
          log.push(name);
          return new Promise<void>((resolve) => running.push(resolve));
        },
      )
      .then(
        () => (outcomes[name] = 'done'),
        (error: unknown) => (outcomes[name] = (error as Error).message),
      );
  };
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const drain = async (): Promise<void> => {
    await settled();
    while (running.length > 0) {
      expect(running).toHaveLength(1);
      running.pop()?.();
      await settled();
    }
  };
  return { add, drain, log, prepared, outcomes };
}

describe('A fair queue', () => {
  test('does one work at a time, and gives each key its turn', async () => {
    const { add, drain, log } = queueOf(20, 20);
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1']) add(name);
    await drain();
    expect(log).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
  });

  test('refuses what is too much of one key, and takes what others ask', async () => {
    const { add, drain, log, prepared, outcomes } = queueOf(20, 2);
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1']) add(name);
    await drain();
    expect(log).toEqual(['a1', 'a2', 'b1', 'a3']);
    expect(outcomes).toMatchObject({ a4: '2 wait', b1: 'done' });
    expect(prepared).toEqual(['a1', 'a2', 'a3', 'b1']);
  });

  test('lets the newest of the longest queue give way when it is full', async () => {
    const { add, drain, log, outcomes } = queueOf(4, 4);
    for (const name of ['a0', 'a1', 'a2', 'a3', 'b1', 'c1', 'd1', 'd2']) add(name);
    await drain();
    expect(log).toEqual(['a0', 'a1', 'b1', 'c1', 'd1']);
    expect(
      Object.keys(outcomes)
        .filter((name) => outcomes[name] !== 'done')
        .sort(),
    ).toEqual(['a2', 'a3', 'd2']);
  });

  test('goes on after a work that failed, and when it was empty', async () => {
    const queue = new FairQueue({ total: 2, perKey: 2 }, () => new Error('full'));
    const run = <T>(work: () => Promise<T>): Promise<T> => queue.run('a', () => Promise.resolve(), work);
    await expect(run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await run(() => Promise.resolve(1))).toBe(1);
    const both = await Promise.allSettled([
      run(() => Promise.reject(new Error('broken'))),
      queue.run(
        'a',
        () => Promise.reject(new Error('unprepared')),
        () => Promise.resolve(2),
      ),
      run(() => Promise.resolve(3)),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
  });
});

import { beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../graphql/limits.js';
import { OperationIds, type OperationCore, type OperationMessage } from './operation-ids.js';

interface Settling {
  readonly resolve: () => void;
  readonly reject: (err: Error) => void;
}

/** Notes what it is given. Operations settle when told to, everything else at once. */
class Core implements OperationCore {
  readonly heard: string[] = [];
  readonly failures: unknown[] = [];
  private readonly settling: Settling[] = [];

  handOn({ id, type }: OperationMessage): Promise<void> {
    this.heard.push(`${String(type)} ${id}`);
    if (type !== 'subscribe') return Promise.resolve();
    return new Promise((resolve, reject) => this.settling.push({ resolve, reject }));
  }

  failed(err: unknown): void {
    this.failures.push(err);
  }

  /** The operation that began first settles. Resolves when that has been seen to. */
  async settle(err?: Error): Promise<void> {
    const first = this.settling.shift();
    if (err === undefined) first?.resolve();
    else first?.reject(err);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const subscribe = (id: string): OperationMessage => ({ id, type: 'subscribe' });
const complete = (id: string): OperationMessage => ({ id, type: 'complete' });

describe('The ids of a socket', () => {
  let core: Core;
  let ids: OperationIds;
  beforeEach(() => {
    core = new Core();
    ids = new OperationIds(core);
  });
  const take = (...messages: OperationMessage[]): boolean[] => messages.map((message) => ids.take(message));

  test('hand on at once what does not wait, a second operation of an id in use too, which the core refuses', () => {
    take(subscribe('a'), subscribe('b'), complete('b'), subscribe('a'), complete('unknown'));
    expect(core.heard).toEqual([
      'subscribe a',
      'subscribe b',
      'complete b',
      'subscribe a',
      'complete unknown',
    ]);
  });

  test('keep messages for an id until its completed operation has settled, and others not', async () => {
    take(subscribe('a'), complete('a'), subscribe('a'), subscribe('b'));
    expect(core.heard).toEqual(['subscribe a', 'complete a', 'subscribe b']);
    await core.settle();
    expect(core.heard.slice(3)).toEqual(['subscribe a']);
    take(complete('a'));
    expect(core.heard.slice(4)).toEqual(['complete a']);
  });

  test('keep them after an end that the server told, too', async () => {
    take(subscribe('a'));
    ids.completed('a');
    take(subscribe('a'));
    expect(core.heard).toEqual(['subscribe a']);
    await core.settle();
    expect(core.heard).toEqual(['subscribe a', 'subscribe a']);
  });

  test('go on after an operation that failed', async () => {
    take(subscribe('a'), complete('a'), subscribe('a'));
    const err = new Error('broken');
    await core.settle(err);
    expect(core.failures).toEqual([err]);
    expect(core.heard.slice(2)).toEqual(['subscribe a']);
  });

  test('hand on one operation after the other, with those that came meanwhile behind those that waited', async () => {
    take(subscribe('a'), complete('a'), subscribe('a'), complete('a'), subscribe('a'), complete('a'));
    await core.settle();
    expect(core.heard).toEqual(['subscribe a', 'complete a', 'subscribe a', 'complete a']);
    take({ id: 'a', type: 'ping' });
    await core.settle();
    expect(core.heard.slice(4)).toEqual(['subscribe a', 'complete a']);
    await core.settle();
    expect(core.heard.slice(6)).toEqual(['ping a']);
  });

  test('tell how many operations are under way, those that are completed until they have settled', async () => {
    take(subscribe('a'), complete('a'), subscribe('a'), subscribe('b'));
    ids.completed('b');
    expect(ids.underWay).toBe(2);
    await core.settle();
    expect(ids.underWay).toBe(2);
    await core.settle();
    expect(ids.underWay).toBe(1);
    await core.settle();
    expect(ids.underWay).toBe(0);
  });

  test('let so many messages wait, those of all ids together, and make room as they are handed on', async () => {
    take(subscribe('a'), complete('a'), subscribe('b'), complete('b'));
    const half = Array.from({ length: limits.socketWaiting / 2 }, () => complete('a'));
    expect(take(...half, ...half.map(() => complete('b')))).not.toContain(false);
    expect(take(complete('a'), complete('b'))).toEqual([false, false]);
    // None of an id that is free has to wait.
    expect(take(subscribe('c'))).toEqual([true]);
    await core.settle();
    expect(core.heard.filter((message) => message === 'complete a')).toHaveLength(1 + half.length);
    expect(take(...half.map(() => complete('b')))).not.toContain(false);
    expect(take(complete('b'))).toEqual([false]);
  });
});

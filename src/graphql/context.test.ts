import { describe, expect, test, vi } from 'vitest';
import { unauthenticated } from '../errors.js';
import { Context, defineLoader, type ContextParts } from './context.js';

const contextOf = (authentication: ContextParts['authentication']): Context =>
  new Context({ authentication } as ContextParts);
const viewer = { id: 'ada', sessionId: 's', tokenExpiresAt: 0, tokenEndsAt: 0 };
const signedOut = (): Context => contextOf({ kind: 'none' });

describe('A context', () => {
  test('knows its viewer, or says why it has none', () => {
    expect(contextOf({ kind: 'viewer', viewer }).signedIn()).toBe(viewer);
    expect(signedOut().viewer).toBeUndefined();
    expect(() => signedOut().signedIn()).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
    const error = unauthenticated('It has run out.');
    const refused = contextOf({ kind: 'refused', error });
    expect(refused.viewer).toBeUndefined();
    expect(() => refused.signedIn()).toThrow(error);
  });
});

describe('A loader', () => {
  const load = vi.fn((keys: readonly number[]) => Promise.resolve(keys.map((key) => key * 10)));
  const loader = defineLoader(load);

  test('asks once for what is asked for at the same time, and remembers it', async () => {
    load.mockClear();
    const ctx = signedOut();
    expect(await Promise.all([1, 2, 1, 3].map((key) => loader(ctx).load(key)))).toEqual([10, 20, 10, 30]);
    await loader(ctx).load(2);
    expect(load.mock.calls.map(([keys]) => keys)).toEqual([[1, 2, 3]]);
  });

  test('forgets after a write, and shares nothing between requests or events', async () => {
    load.mockClear();
    const ctx = signedOut();
    await loader(ctx).load(1);
    expect(await ctx.wrote(Promise.resolve('written'))).toBe('written');
    await loader(ctx).load(1);
    await loader(ctx.fresh()).load(1);
    await loader(signedOut()).load(1);
    expect(load).toHaveBeenCalledTimes(4);
  });

  test('remembers what was there when a write fails', async () => {
    load.mockClear();
    const ctx = signedOut();
    await loader(ctx).load(1);
    await expect(ctx.wrote(Promise.reject(new Error('refused')))).rejects.toThrow('refused');
    await loader(ctx).load(1);
    expect(load).toHaveBeenCalledOnce();
  });
});

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RateLimiterMemory, type RateLimiterAbstract } from 'rate-limiter-flexible';
import { SharedRate } from './shared-rate.js';

describe('A rate', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const taken = (rate: SharedRate, key: string, tries: number): number => {
    let count = 0;
    for (let i = 0; i < tries; i++) if (rate.take(key) === undefined) count += 1;
    return count;
  };
  const reported = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

  test('allows so much of each key in a minute, and says when there is more', () => {
    const rate = new SharedRate(10, undefined);
    expect(taken(rate, 'a', 50)).toBe(10);
    expect(taken(rate, 'b', 50)).toBe(10);
    vi.advanceTimersByTime(20_000);
    expect(rate.take('a')).toBe(40);
    vi.advanceTimersByTime(40_000);
    expect(taken(rate, 'a', 50)).toBe(10);
  });

  test('counts several at once, and lets more than is ever allowed pass alone', () => {
    const rate = new SharedRate(10, undefined);
    expect(rate.take('a', 8)).toBeUndefined();
    expect(rate.take('a', 3)).toBe(60);
    expect(rate.take('a', 2)).toBeUndefined();
    expect(rate.take('b', 50)).toBeUndefined();
    expect(rate.take('b')).toBe(60);
  });

  test('is shared by processes, but for a tenth of each', async () => {
    const shared = new RateLimiterMemory({ points: 100, duration: 60 });
    const rates = Array.from({ length: 4 }, () => new SharedRate(100, shared));
    let count = 0;
    for (let i = 0; i < 100; i++) {
      for (const rate of rates) if (rate.take('a') === undefined) count += 1;
      await reported();
    }
    expect(count).toBeGreaterThanOrEqual(100);
    expect(count).toBeLessThanOrEqual(140);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(rates.map((rate) => rate.take('a'))).toEqual(rates.map(() => undefined));
  });

  test('asks the counter that is shared of nothing for those who do little', () => {
    const penalty = vi.fn();
    const rate = new SharedRate(1000, { penalty } as unknown as RateLimiterAbstract);
    for (let i = 0; i < 50; i++) taken(rate, String(i), 100);
    expect(penalty).not.toHaveBeenCalled();
  });

  test('asks it once at a time, for many together', async () => {
    const shared = new RateLimiterMemory({ points: 1000, duration: 60 });
    const penalty = vi.spyOn(shared, 'penalty');
    const rate = new SharedRate(1000, shared);
    for (let i = 0; i < 1000; i++) {
      rate.take('a');
      if (i % 5 === 0) await reported();
    }
    expect(penalty.mock.calls.length).toBeLessThanOrEqual(46);
    expect(penalty.mock.calls.reduce((sum, [, points = 0]) => sum + points, 0)).toBeGreaterThan(950);
  });

  test('is kept by each process alone while the counter is away, and told then', async () => {
    const shared = new RateLimiterMemory({ points: 100, duration: 60 });
    vi.spyOn(shared, 'penalty').mockRejectedValueOnce(new Error('away'));
    const rate = new SharedRate(100, shared);
    for (let i = 0; i < 200; i++) {
      rate.take('a');
      await reported();
    }
    expect((await shared.get('a'))?.consumedPoints).toBe(100);
    expect(rate.take('a')).toBe(60);
  });

  test('of more keys than are counted begins anew, and takes no more memory', () => {
    const rate = new SharedRate(1, undefined);
    expect(taken(rate, 'a', 2)).toBe(1);
    for (let i = 0; i < 100_000; i++) rate.take(String(i));
    expect(taken(rate, 'a', 2)).toBe(1);
  });
});

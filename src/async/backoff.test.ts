import { describe, expect, test } from 'vitest';
import { backoff } from './backoff.js';

const PAUSES = { firstMs: 200, mostMs: 30_000 };

describe('The pause between two attempts', () => {
  test('doubles with each', () => {
    expect([0, 1, 2, 3].map((attempt) => backoff(PAUSES, attempt, 1))).toEqual([200, 400, 800, 1600]);
  });

  test('is never longer than its limit', () => {
    expect([8, 100, 10_000].map((attempt) => backoff(PAUSES, attempt, 1))).toEqual([30_000, 30_000, 30_000]);
  });

  test('is random by half', () => {
    expect(backoff(PAUSES, 2, 0)).toBe(400);
    const drawn = Array.from({ length: 100 }, () => backoff(PAUSES, 2));
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(400);
    expect(Math.max(...drawn)).toBeLessThanOrEqual(800);
    expect(new Set(drawn).size).toBeGreaterThan(50);
  });
});

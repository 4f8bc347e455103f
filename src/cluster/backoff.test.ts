import { describe, expect, test } from 'vitest';
import { restartDelay } from './backoff.js';

describe('The wait before a process is started again', () => {
  test('doubles with each that ended before its time', () => {
    expect([0, 1, 2, 3].map((attempt) => restartDelay(attempt, 1))).toEqual([200, 400, 800, 1600]);
  });

  test('is never longer than half a minute', () => {
    expect([8, 100, 10_000].map((attempt) => restartDelay(attempt, 1))).toEqual([30_000, 30_000, 30_000]);
  });

  test('is random by half', () => {
    expect(restartDelay(2, 0)).toBe(400);
    const drawn = Array.from({ length: 100 }, () => restartDelay(2));
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(400);
    expect(Math.max(...drawn)).toBeLessThanOrEqual(800);
    expect(new Set(drawn).size).toBeGreaterThan(50);
  });
});

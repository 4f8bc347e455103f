import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SILENCE_MS } from './room-typing.js';
import { Typist } from './typist.js';

describe('A typist', () => {
  let told: { typing: boolean; expiresAt: number; at: number }[];
  let typist: Typist;

  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
    told = [];
    typist = new Typist((typing, expiresAt) => told.push({ typing, expiresAt, at: Date.now() - 1_000_000 }));
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const after = (ms: number): void => {
    vi.advanceTimersByTime(ms);
  };
  const says = (): [boolean, number][] => told.map(({ typing, at }) => [typing, at]);

  test('is told of at once, and again every two seconds while they type', () => {
    for (let i = 0; i < 50; i++) {
      typist.say(true);
      after(100);
    }
    expect(says()).toEqual([
      [true, 0],
      [true, 2000],
      [true, 4000],
    ]);
  });

  test('who alternates is told a few times and then once a second, in the end as it is', () => {
    for (let i = 0; i < 1200; i++) {
      typist.say(i % 2 === 0);
      after(2);
    }
    const after2400 = told.length;
    expect(after2400).toBeLessThanOrEqual(4 + 3);
    after(10_000);
    expect(told.at(-1)?.typing).toBe(false);
    expect(told.length).toBeLessThanOrEqual(after2400 + 1);
  });

  test.each([true, false])('whose last word was %s is told so within a second', (last) => {
    for (let i = 0; i < 20; i++) typist.say(i % 2 === 0);
    typist.say(last);
    after(1000);
    expect(told.at(-1)).toMatchObject({ typing: last, at: last ? 1000 : expect.any(Number) });
  });

  test('falls silent six seconds after they were heard of, also where that was told late', () => {
    for (let i = 0; i < 4; i++) typist.say(i % 2 === 0);
    after(300);
    const expiresAt = typist.say(true);
    expect(expiresAt).toEqual(new Date(1_000_300 + SILENCE_MS));
    after(700);
    expect(told.at(-1)).toEqual({ typing: true, expiresAt: 1_000_300 + SILENCE_MS, at: 1000 });
    // What was told lately is answered as it was told.
    expect(typist.say(true)).toEqual(new Date(1_001_000 + SILENCE_MS));
  });

  test('is told to have stopped, also by a process that does not know that they began', () => {
    expect(typist.say(false)).toBeNull();
    expect(says()).toEqual([[false, 0]]);
  });

  test('is forgotten once they are silent, and not before', () => {
    typist.say(true);
    expect(typist.isForgotten(Date.now() + SILENCE_MS - 1)).toBe(false);
    expect(typist.isForgotten(Date.now() + SILENCE_MS)).toBe(true);
    for (let i = 0; i < 9; i++) typist.say(i % 2 === 0);
    expect(typist.isForgotten(Date.now() + SILENCE_MS)).toBe(false);
    after(5000);
    expect(typist.isForgotten(Date.now() + SILENCE_MS)).toBe(true);
  });
});

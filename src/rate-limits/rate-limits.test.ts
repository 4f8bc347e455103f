import { describe, expect, test } from 'vitest';
import { RateLimits, type Doer } from './rate-limits.js';

const NONE = { operations: undefined, rooms: undefined, joins: undefined, uploads: undefined };

describe('The limits on what is done in a minute', () => {
  const limits = (): RateLimits =>
    new RateLimits({ ...NONE, posts: { perPerson: 3, perAddress: 5 } }, undefined);
  const passed = (rates: RateLimits, who: Doer, tries: number): number =>
    Array.from({ length: tries }, () => rates.refusal('posts', who)).filter(
      (refusal) => refusal === undefined,
    ).length;

  test('charge neither a person nor an address with what is refused', () => {
    const rates = limits();
    expect(passed(rates, { userId: 'ada', address: '192.0.2.1' }, 9)).toBe(3);
    // What ada was refused is no one else's at this address.
    expect(passed(rates, { userId: 'bob', address: '192.0.2.1' }, 9)).toBe(2);
    // What bob was refused for the address is still his elsewhere.
    expect(passed(rates, { userId: 'bob', address: '192.0.2.2' }, 9)).toBe(1);
  });

  test('count clients whose address is not known together', () => {
    const rates = limits();
    expect(passed(rates, { userId: undefined, address: '' }, 9)).toBe(5);
    expect(passed(rates, { userId: undefined, address: 'nonsense' }, 9)).toBe(0);
  });
});

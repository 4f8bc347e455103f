import { afterAll, describe, expect, test } from 'vitest';
import { DECOY, Passwords } from './passwords.js';

const PARAMETERS = '$argon2id$v=19$m=19456,t=2,p=1$';

describe('A password', () => {
  const passwords = new Passwords();
  afterAll(() => passwords.close());

  test('is hashed with argon2id, with a salt of its own each time', async () => {
    const [first, second] = await Promise.all([1, 2].map(() => passwords.hash('the same', '192.0.2.1')));
    expect(first?.startsWith(PARAMETERS)).toBe(true);
    expect(second?.startsWith(PARAMETERS)).toBe(true);
    expect(second).not.toBe(first);
  });

  test('fits its own hash and no other', async () => {
    const stored = await passwords.hash('correct horse', '192.0.2.1');
    expect(await passwords.verify(stored, 'correct horse', '192.0.2.1')).toBe(true);
    expect(await passwords.verify(stored, 'correct horsE', '192.0.2.1')).toBe(false);
    expect(await passwords.verify(stored, '', '192.0.2.1')).toBe(false);
  });

  test.each([undefined, null])(
    'fits nothing where there is no hash (%s), and costs the same work',
    async (stored) => {
      expect(DECOY.slice(0, PARAMETERS.length)).toBe(PARAMETERS);
      const known = await passwords.hash('some password', '192.0.2.1');
      const fastest = async (hash: string | null | undefined): Promise<number> => {
        const times = [];
        for (let i = 0; i < 5; i++) {
          const begun = performance.now();
          expect(await passwords.verify(hash, 'another password', '192.0.2.1')).toBe(false);
          times.push(performance.now() - begun);
        }
        return Math.min(...times);
      };
      expect(await fastest(stored)).toBeGreaterThan((await fastest(known)) / 3);
    },
  );

  test('that is not stored as a hash is a failure, and those behind it are checked', async () => {
    const broken = passwords.verify('not a hash', 'x', '192.0.2.1');
    const next = passwords.hash('some password', '192.0.2.1');
    await expect(broken).rejects.toThrow();
    expect((await next).startsWith(PARAMETERS)).toBe(true);
  });

  test('is refused where too many of one address wait, and those of others are not', async () => {
    const flood = Promise.allSettled(
      Array.from({ length: 100 }, () => passwords.verify(DECOY, 'x', '192.0.2.1')),
    );
    await passwords.verify(DECOY, 'x', '192.0.2.2');
    const outcomes = await flood;
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.length).toBe(100 - 65);
    expect(refused[0]?.reason).toMatchObject({
      code: 'RATE_LIMITED',
      details: { retryAfter: expect.any(Number) },
    });
  });

  test('is not taken once the process stops', async () => {
    const own = new Passwords();
    await own.close();
    await expect(own.hash('some password', '192.0.2.1')).rejects.toThrow('stops');
  });
});

import { afterAll, describe, expect, test, vi } from 'vitest';
import { PasswordHasher } from './password-hasher.js';
import { Passwords } from './passwords.js';

const PARAMETERS = '$argon2id$v=19$m=19456,t=2,p=1$';

describe('A password', () => {
  const passwords = new Passwords({ places: 1, placesPerKey: 1, waiting: 8, waitingPerKey: 3 });
  afterAll(() => passwords.close());

  test('is hashed with argon2id, with a salt of its own each time', async () => {
    const [first = '', second = ''] = await Promise.all([1, 2].map(() => passwords.hash('the same')));
    expect(first.startsWith(PARAMETERS)).toBe(true);
    expect(second.startsWith(PARAMETERS)).toBe(true);
    expect(second).not.toBe(first);
  });

  test('fits its own hash and no other', async () => {
    const stored = await passwords.hash('correct horse');
    expect(await passwords.verify(stored, 'correct horse')).toBe(true);
    expect(await passwords.verify(stored, 'correct horsE')).toBe(false);
    expect(await passwords.verify(stored, '')).toBe(false);
  });

  test.each([undefined, null])(
    'fits nothing where there is no hash (%s), and costs the same work',
    async (stored) => {
      const verify = vi.spyOn(PasswordHasher.prototype, 'verify');
      expect(await passwords.verify(stored, 'some password')).toBe(false);
      expect(verify).toHaveBeenCalledOnce();
      expect(verify.mock.calls[0]?.[0].startsWith(PARAMETERS)).toBe(true);
    },
  );

  test('that is not stored as a hash is a failure, and those behind it are checked', async () => {
    const broken = passwords.verify('not a hash', 'x');
    const next = passwords.hash('some password');
    await expect(broken).rejects.toThrow();
    expect((await next).startsWith(PARAMETERS)).toBe(true);
  });

  test('is refused where too many of one address wait, and those of others are not', async () => {
    const one = (key: string) =>
      passwords.inTurn(
        key,
        () => Promise.resolve('x'),
        (password) => passwords.verify(null, password),
      );
    const flood = Promise.allSettled(Array.from({ length: 10 }, () => one('192.0.2.1')));
    expect(await one('192.0.2.2')).toBe(false);
    const refused = (await flood).filter((outcome) => outcome.status === 'rejected');
    expect(refused).toHaveLength(10 - 1 - 3);
    expect(refused[0]?.reason).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfter: 2 } });
  });

  test('is not taken once the process stops', async () => {
    const own = new Passwords();
    await own.close();
    await expect(own.hash('some password')).rejects.toThrow('stops');
  });
});

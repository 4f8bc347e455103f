import { verify } from '@node-rs/argon2';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { hashPassword, preparePasswords, verifyPassword } from './passwords.js';

vi.mock(import('@node-rs/argon2'), async (original) => {
  const real = await original();
  return { ...real, verify: vi.fn(real.verify) };
});

const PARAMETERS = '$argon2id$v=19$m=19456,t=2,p=1$';

beforeEach(() => {
  vi.mocked(verify).mockClear();
});

describe('A password', () => {
  test('is hashed with argon2id, with a salt of its own each time', async () => {
    const [first, second] = [await hashPassword('the same'), await hashPassword('the same')];
    expect(first.startsWith(PARAMETERS)).toBe(true);
    expect(second).not.toBe(first);
  });

  test('fits its own hash and no other', async () => {
    const stored = await hashPassword('correct horse');
    expect(await verifyPassword(stored, 'correct horse')).toBe(true);
    expect(await verifyPassword(stored, 'correct horsE')).toBe(false);
    expect(await verifyPassword(stored, '')).toBe(false);
  });

  test.each([undefined, null])(
    'fits nothing where there is no hash (%s), and costs the same work',
    async (stored) => {
      await preparePasswords();
      vi.mocked(verify).mockClear();
      expect(await verifyPassword(stored, 'no password has this hash')).toBe(false);
      expect(verify).toHaveBeenCalledOnce();
      expect(vi.mocked(verify).mock.calls[0]?.[0].toString().startsWith(PARAMETERS)).toBe(true);
    },
  );
});

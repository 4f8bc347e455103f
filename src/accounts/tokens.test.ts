import jwt from 'jsonwebtoken';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { newId } from '../db/ids.js';
import { ACCESS_TOKEN_SECONDS, deriveKey, hashRefresh, Tokens } from './tokens.js';

const SECRET = 'a secret that is long enough for a test';
const tokens = new Tokens(SECRET);

afterEach(() => {
  vi.useRealTimers();
});

describe('An access token', () => {
  test('says whom and which sign-in it stands for, and until when', () => {
    const [userId, sessionId] = [newId(), newId()];
    const { token, expiresAt } = tokens.signAccess(userId, sessionId);
    expect(tokens.verifyAccess(token)).toEqual({ userId, sessionId, expiresAt: expiresAt.getTime() });
    expect(jwt.decode(token)).toMatchObject({ iss: 'parley', aud: 'parley', sub: userId, sid: sessionId });
  });

  test('is good for fifteen minutes and not a second longer', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { token } = tokens.signAccess(newId(), newId());
    vi.advanceTimersByTime((ACCESS_TOKEN_SECONDS - 2) * 1000);
    expect(tokens.verifyAccess(token)).toBeDefined();
    vi.advanceTimersByTime(2000);
    expect(tokens.verifyAccess(token)).toBeUndefined();
  });

  test('is refused once any character of it is another', () => {
    const { token } = tokens.signAccess(newId(), newId());
    for (let i = 0; i < token.length; i++) {
      const other = token[i] === 'A' ? 'B' : 'A';
      const altered = token.slice(0, i) + other + token.slice(i + 1);
      // The last character of a signature has bits that stand for nothing.
      const same = Buffer.from(altered.split('.')[2] ?? '', 'base64url').equals(
        Buffer.from(token.split('.')[2]!, 'base64url'),
      );
      if (i === token.length - 1 && same) continue;
      expect(tokens.verifyAccess(altered), `character ${i}`).toBeUndefined();
    }
  });

  test('of another secret is refused', () => {
    const { token } = new Tokens('another secret that is long enough').signAccess(newId(), newId());
    expect(tokens.verifyAccess(token)).toBeUndefined();
  });
});

describe('A refresh token', () => {
  test('has 256 random bits', () => {
    const made = new Set(Array.from({ length: 100 }, () => tokens.newRefresh()));
    expect(made.size).toBe(100);
    for (const token of made) expect(Buffer.from(token, 'base64url')).toHaveLength(32);
  });

  test('has one successor, which only the secret can tell', () => {
    const token = tokens.newRefresh();
    expect(tokens.successorOf(token)).toBe(tokens.successorOf(token));
    expect(tokens.successorOf(token)).not.toBe(tokens.successorOf(tokens.newRefresh()));
    expect(new Tokens('another secret that is long enough').successorOf(token)).not.toBe(
      tokens.successorOf(token),
    );
    expect(Buffer.from(tokens.successorOf(token), 'base64url')).toHaveLength(32);
  });

  test('is stored as a hash', () => {
    expect(hashRefresh('token')).toBe('3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0');
  });
});

test('Keys for different purposes have nothing in common', () => {
  const keys = ['access token', 'refresh token', 'page cursor', 'file link'].map((purpose) =>
    deriveKey(SECRET, purpose).toString('hex'),
  );
  expect(new Set(keys).size).toBe(keys.length);
  expect(deriveKey(SECRET, 'access token')).toHaveLength(32);
});

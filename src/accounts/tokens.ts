import { createHash, createHmac, createSecretKey, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { Now } from '../db/clock.js';
import { isId } from '../db/ids.js';

/** Seconds an access token is good for. */
export const ACCESS_TOKEN_SECONDS = 15 * 60;

const ALGORITHM = 'HS256';
const ISSUER = 'parley';
const AUDIENCE = 'parley';

export interface AccessClaims {
  readonly userId: string;
  readonly sessionId: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** Keys for one purpose each, derived from the configured secret (HKDF, RFC 5869), so that none stands in for another. */
export const deriveKey = (secret: string, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', `parley ${purpose}`, 32));

/** Tokens that are remembered to be good, a few hundred bytes each. */
const MAX_VERIFIED = 10_000;

/** Makes and checks the tokens of our own sign-ins. */
export class Tokens {
  /** Of tokens that came before, oldest first: a client sends the same one with each request. */
  private readonly verified = new Map<string, AccessClaims>();
  /** Of bytes, jsonwebtoken would first try whether they are a public key, which costs more than all the rest. */
  private readonly accessKey: KeyObject;
  private readonly refreshKey: Buffer;

  /** `now`: the database's clock, by which all processes judge a token alike. */
  constructor(
    secret: string,
    private readonly now: Now = () => Date.now(),
  ) {
    this.accessKey = createSecretKey(deriveKey(secret, 'access token'));
    this.refreshKey = deriveKey(secret, 'refresh token');
  }

  /** A JWT (RFC 7519) with `iss`, `aud`, `sub`, `sid`, `iat` and `exp`. */
  signAccess(userId: string, sessionId: string): { token: string; expiresAt: Date } {
    const now = Math.floor(this.now() / 1000);
    const exp = now + ACCESS_TOKEN_SECONDS;
    const token = jwt.sign({ sid: sessionId, iat: now, exp }, this.accessKey, {
      algorithm: ALGORITHM,
      issuer: ISSUER,
      audience: AUDIENCE,
      subject: userId,
    });
    return { token, expiresAt: new Date(exp * 1000) };
  }

  /** Undefined for a token that is not ours, was altered, or has run out. */
  verifyAccess(token: string): AccessClaims | undefined {
    const known = this.verified.get(token);
    if (known !== undefined && this.now() < known.expiresAt) return known;
    this.verified.delete(token);
    const claims = this.readAccess(token);
    if (claims !== undefined) this.remember(token, claims);
    return claims;
  }

  private remember(token: string, claims: AccessClaims): void {
    this.verified.set(token, claims);
    if (this.verified.size <= MAX_VERIFIED) return;
    const [oldest = ''] = this.verified.keys();
    this.verified.delete(oldest);
  }

  private readAccess(token: string): AccessClaims | undefined {
    try {
      const claims = jwt.verify(token, this.accessKey, {
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience: AUDIENCE,
        clockTimestamp: Math.floor(this.now() / 1000),
      });
      if (typeof claims === 'string') return undefined;
      const { sub, exp } = claims;
      const sid: unknown = claims['sid'];
      if (sub === undefined || exp === undefined || typeof sid !== 'string' || !isId(sub) || !isId(sid))
        return undefined;
      return { userId: sub, sessionId: sid, expiresAt: exp * 1000 };
    } catch {
      return undefined;
    }
  }

  newRefresh(): string {
    return randomBytes(32).toString('base64url');
  }

  /**
   * The one token that follows this one. Derived and not drawn, so that a repeated refresh can be answered the same
   * although only hashes are stored.
   */
  successorOf(refreshToken: string): string {
    return createHmac('sha256', this.refreshKey).update(refreshToken).digest('base64url');
  }
}

/** How a refresh token is stored. It has 256 random bits, so a plain hash is enough. */
export const hashRefresh = (refreshToken: string): string =>
  createHash('sha256').update(refreshToken).digest('hex');

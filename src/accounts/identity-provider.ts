import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import type { IdentityProvider as ProviderConfig } from '../config/config.js';
import type { Now } from '../db/clock.js';
import type { Database } from '../db/database.js';
import { newId, newTag } from '../db/ids.js';
import { beginning } from '../text.js';
import { accountBySubject, insertUser } from './accounts.queries.js';

/** Asymmetric algorithms only: with a shared secret, whoever checks tokens could make them. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
/** Users remembered, so that a request of a known one asks no database. */
const REMEMBERED = 10_000;

/** Accepts the tokens of an identity provider (OpenID Connect). Its users get an account on first sight. */
export class IdentityProvider {
  private readonly keys: JWTVerifyGetKey;
  private readonly userIds = new Map<string, string>();

  constructor(
    private readonly db: Database,
    private readonly config: ProviderConfig,
    private readonly now: Now = () => Date.now(),
  ) {
    this.keys = createRemoteJWKSet(new URL(config.jwksUrl), {
      cooldownDuration: 30_000,
      timeoutDuration: 5000,
    });
  }

  /** Whether a token is signed the way a provider's is; our own are not. */
  static signs(token: string): boolean {
    try {
      return ALGORITHMS.includes(decodeProtectedHeader(token).alg ?? '');
    } catch {
      return false;
    }
  }

  /** Undefined for a token that is not the provider's, was altered, or has run out. `expiresAt` in ms since the epoch. */
  async verify(token: string): Promise<{ userId: string; expiresAt: number } | undefined> {
    const claims = await this.claims(token);
    const { sub, exp } = claims ?? {};
    if (claims === undefined || sub === undefined || exp === undefined) return undefined;
    if (sub.length > MAX_CLAIM || !isStorable(sub)) return undefined;
    return { userId: await this.userId(sub, claims), expiresAt: exp * 1000 };
  }

  private async claims(token: string): Promise<JWTPayload | undefined> {
    const { issuer, audience } = this.config;
    try {
      const currentDate = new Date(this.now());
      const checks = { issuer, audience, algorithms: ALGORITHMS, currentDate };
      const { payload } = await jwtVerify(token, this.keys, checks);
      return payload;
    } catch {
      return undefined;
    }
  }

  private async userId(subject: string, claims: JWTPayload): Promise<string> {
    const known = this.userIds.get(subject);
    if (known !== undefined) return known;
    const user =
      (await accountBySubject(this.db, this.config.issuer, subject)) ??
      (await this.makeUser(subject, claims));
    const [oldest] = this.userIds.keys();
    if (this.userIds.size >= REMEMBERED && oldest !== undefined) this.userIds.delete(oldest);
    this.userIds.set(subject, user.id);
    return user.id;
  }

  /** Tries the names that the provider gives, then ones that are free. A concurrent first sight may win: then theirs counts. */
  private async makeUser(subject: string, claims: JWTPayload): Promise<{ id: string }> {
    const email = claims['email_verified'] === true ? text(claims['email'])?.toLowerCase() : undefined;
    const wanted = handleFrom(text(claims['preferred_username']) ?? email?.split('@')[0] ?? 'user');
    const suffix = newTag()
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, '0');
    const free = `${wanted.slice(0, 20)}-${suffix}`;
    for (const [handle, address] of [
      [wanted, email],
      [wanted, undefined],
      [free, email],
      [free, undefined],
    ] as const) {
      const user = await insertUser(this.db, {
        id: newId(),
        email: address ?? null,
        handle,
        name: beginning(text(claims['name']) ?? wanted, 100),
        password_hash: null,
        issuer: this.config.issuer,
        subject,
      });
      const made = user ?? (await accountBySubject(this.db, this.config.issuer, subject));
      if (made !== undefined) return made;
    }
    throw new Error(`no free handle was found for ${wanted}`);
  }
}

/** Characters of a claim that are looked at: OpenID Connect allows a subject no more, and nothing else needs more. */
const MAX_CLAIM = 255;

/** Whether Postgres takes it as it is. */
const isStorable = (value: string): boolean => !value.includes('\0') && value.isWellFormed();

/** Undefined for what is no text, or none that can be stored. */
function text(claim: unknown): string | undefined {
  if (typeof claim !== 'string' || !isStorable(claim)) return undefined;
  const trimmed = beginning(claim.trim(), MAX_CLAIM);
  return trimmed === '' ? undefined : trimmed;
}

function handleFrom(name: string): string {
  const handle = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '')
    .slice(0, 32);
  return handle.length < 2 ? 'user' : handle;
}

import { decodeProtectedHeader, errors, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose';
import type { IdentityProvider as ProviderConfig } from '../config/config.js';
import type { Now } from '../db/clock.js';
import type { Database } from '../db/database.js';
import { newId, newTag } from '../db/ids.js';
import { isOutage } from '../db/outage.js';
import { ParleyError, unauthenticated } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import { beginning } from '../text.js';
import { keptName, isBlank } from '../names.js';
import { accountBySubject, insertUser } from './accounts.queries.js';
import { emailKey } from './email.js';
import { ProviderKeys } from './provider-keys.js';

/** Asymmetric algorithms only: with a shared secret, whoever checks tokens could make them. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'],
  // The same under its older and its newer name (RFC 9864).
  ...['EdDSA', 'Ed25519'],
];
/** Seconds by which the provider's clock and ours may differ. */
const CLOCK_TOLERANCE = 5;
/** An `exp` behind this is in milliseconds: as seconds it would be the year 5138. */
const MAX_EXP = 1e11;
/** Users remembered, so that a request of a known one asks no database. */
const REMEMBERED = 10_000;

/** Accepts the tokens of an identity provider (OpenID Connect). Its users get an account on first sight. */
export class IdentityProvider {
  private readonly keys: ProviderKeys;
  private readonly userIds = new Map<string, string>();

  constructor(
    private readonly db: Database,
    private readonly config: ProviderConfig,
    private readonly logger: Logger,
    private readonly now: Now = () => Date.now(),
  ) {
    this.keys = new ProviderKeys(config.jwksUrl, logger);
  }

  /** Whether a token is signed the way a provider's is; our own are not. */
  static signs(token: string): boolean {
    try {
      return ALGORITHMS.includes(decodeProtectedHeader(token).alg ?? '');
    } catch {
      return false;
    }
  }

  /** Resolves where the provider tells the keys that its tokens are checked by. */
  check(): Promise<void> {
    return this.keys.check();
  }

  /**
   * Whose token it is, and when it runs out, in ms since the epoch. Throws UNAUTHENTICATED for a token that is not the provider's, was
   * altered, or has run out; UNAVAILABLE where that cannot be decided.
   */
  async verify(token: string): Promise<{ userId: string; expiresAt: number }> {
    const claims = await this.claims(token);
    const { sub, exp } = claims;
    if (sub === undefined || exp === undefined)
      throw unauthenticated('This access token needs a subject (`sub`) and an end (`exp`).');
    if (exp > MAX_EXP)
      throw unauthenticated('The end of this access token (`exp`) must be in seconds, not milliseconds.');
    if (sub.length > MAX_CLAIM || !isStorable(sub))
      throw unauthenticated(
        `The subject of this access token (\`sub\`) must be text of at most ${String(MAX_CLAIM)} characters.`,
      );
    return { userId: await this.account(sub, claims), expiresAt: (exp + CLOCK_TOLERANCE) * 1000 };
  }

  private async claims(token: string): Promise<JWTPayload> {
    const { issuer, audience } = this.config;
    const options = {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      currentDate: new Date(this.now()),
      clockTolerance: CLOCK_TOLERANCE,
    };
    try {
      return await this.payload(token, options);
    } catch (err) {
      if (err instanceof ParleyError) throw err;
      if (!(err instanceof errors.JOSEError)) {
        this.logger.error({ err }, 'a key of the identity provider cannot be used');
        throw unavailable('A key of the identity provider cannot be used', err);
      }
      this.logger.debug({ err }, 'a token of the identity provider is refused');
      throw unauthenticated(
        'This access token was not issued by the identity provider, or it has expired: get a new one from it.',
      );
    }
  }

  /** Where a token names no key, each that may have signed it is tried. */
  private async payload(token: string, options: JWTVerifyOptions): Promise<JWTPayload> {
    const namesKey = decodeProtectedHeader(token).kid !== undefined;
    try {
      return await this.tryKeys(token, options);
    } catch (error) {
      if (namesKey || !(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
    await this.keys.lookForNew();
    return this.tryKeys(token, options);
  }

  private async tryKeys(token: string, options: JWTVerifyOptions): Promise<JWTPayload> {
    try {
      return (await jwtVerify(token, this.keys.keyFor, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      for await (const key of error) {
        try {
          return (await jwtVerify(token, key, options)).payload;
        } catch (failure) {
          const isOther = !(failure instanceof errors.JOSEError);
          if (!isOther && !(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  }

  private async account(subject: string, claims: JWTPayload): Promise<string> {
    try {
      return await this.userId(subject, claims);
    } catch (err) {
      if (!isOutage(err)) throw err;
      this.logger.error({ err }, 'unavailable');
      throw unavailable('The account of this access token cannot be looked up now', err);
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
    const email = isTrue(claims['email_verified']) ? emailOf(claims) : undefined;
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
        name: beginning(nameOf(claims) ?? wanted, MAX_DISPLAY_NAME),
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

const unavailable = (why: string, cause: unknown): ParleyError =>
  new ParleyError('UNAVAILABLE', `${why}: try again later.`, { retryAfter: 1 }, { cause });

/** Characters of a display name. */
const MAX_DISPLAY_NAME = 100;
/** Characters of a claim that are looked at: OpenID Connect allows a subject no more, and nothing else needs more. */
const MAX_CLAIM = 255;

/** Whether Postgres takes it as it is. */
const isStorable = (value: string): boolean => !value.includes('\0') && value.isWellFormed();

/** Some providers write it as text. */
const isTrue = (claim: unknown): boolean => claim === true || claim === 'true';

/** Without what cannot be stored; undefined for what is no text, or an empty one. */
function text(claim: unknown): string | undefined {
  if (typeof claim !== 'string') return undefined;
  const storable = beginning(claim, 2 * MAX_CLAIM)
    .replaceAll('\0', '')
    .toWellFormed();
  const trimmed = beginning(storable.trim(), MAX_CLAIM);
  return trimmed === '' ? undefined : trimmed;
}

const emailOf = (claims: JWTPayload): string | undefined => {
  const email = text(claims['email']);
  return email === undefined ? undefined : emailKey(email);
};

const nameOf = (claims: JWTPayload): string | undefined => {
  const name = keptName(text(claims['name']) ?? '');
  return isBlank(name) ? undefined : name.trim();
};

function handleFrom(name: string): string {
  const handle = name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '')
    .slice(0, 32);
  return handle.length < 2 ? 'user' : handle;
}

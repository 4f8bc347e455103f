import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { ParleyError } from '../errors.js';
import type { Logger } from '../observability/logger.js';

/** Times that count for an identity provider's keys, in milliseconds. Tests change it. */
export const keyTimes = {
  /** For its answer. */
  answerMs: 5000,
  /** Until its keys are fetched anew. The known ones stay good while that fails, */
  freshMs: 10 * 60_000,
  /** but no longer than this: it may have withdrawn one. */
  staleMs: 24 * 60 * 60_000,
  /** From an attempt that failed to the next one. */
  retryMs: 1000,
};

/** Fetches because of tokens whose key is not known: anybody can send such tokens. */
const NEW_KEYS = { points: 6, duration: 60 };

/**
 * The public keys of an identity provider (JWK Set, RFC 7517, section 5). They are fetched when one is needed for the first time, when they
 * are no longer fresh, and at once when a token names one that is not known, which is how a key is replaced.
 */
export class ProviderKeys {
  private readonly set: ReturnType<typeof createRemoteJWKSet>;
  private fetchedAt = -Infinity;
  private failure: { readonly at: number; readonly error: unknown } | undefined;
  private readonly newKeys = new RateLimiterMemory(NEW_KEYS);

  constructor(
    url: string,
    private readonly logger: Logger,
  ) {
    this.set = createRemoteJWKSet(new URL(url), {
      timeoutDuration: keyTimes.answerMs,
      // When to fetch is decided here.
      cacheMaxAge: Infinity,
      cooldownDuration: Infinity,
      [customFetch]: fetchKeys,
    });
  }

  /** The key for a token, as jose wants it. Throws UNAVAILABLE while the provider does not tell its keys, and jose's errors. */
  readonly keyFor: JWTVerifyGetKey = async (header, token) => {
    const age = performance.now() - this.fetchedAt;
    if (age > keyTimes.freshMs) {
      const fetched = this.fetch();
      if (age > keyTimes.staleMs) await fetched;
      else fetched.catch(() => undefined);
    }
    try {
      return await this.set(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    await this.lookForNew();
    return this.set(header, token);
  };

  /** Fetches the keys for a token that none of the known ones has signed. Throws UNAVAILABLE, also where that was done often just now. */
  async lookForNew(): Promise<void> {
    try {
      await this.newKeys.consume('all');
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      throw away(Math.ceil(error.msBeforeNext / 1000));
    }
    await this.fetch();
  }

  /** Resolves where the keys are known and fresh, or can be fetched. */
  async check(): Promise<void> {
    if (this.failure !== undefined || performance.now() - this.fetchedAt > keyTimes.freshMs)
      await this.fetch();
  }

  /** Soon after an attempt that failed it fails alike. */
  private async fetch(): Promise<void> {
    const { failure } = this;
    if (failure !== undefined && performance.now() - failure.at < keyTimes.retryMs)
      throw away(1, failure.error);
    try {
      await this.set.reload();
    } catch (error) {
      if (this.failure === undefined)
        this.logger.warn({ err: error }, 'the identity provider does not tell its keys (JWT_JWKS_URL)');
      this.failure = { at: performance.now(), error };
      throw away(1, error);
    }
    if (this.failure !== undefined) this.logger.info('the identity provider tells its keys again');
    this.failure = undefined;
    this.fetchedAt = performance.now();
  }
}

const away = (retryAfter: number, cause?: unknown): ParleyError =>
  new ParleyError(
    'UNAVAILABLE',
    'The identity provider does not answer, so this access token cannot be checked: try again.',
    { retryAfter },
    { cause },
  );

/** jose takes `EdDSA`, and its newer name `Ed25519` (RFC 9864), for two algorithms, and a key for one of them. */
const fetchKeys: typeof fetch = async (url, options) => {
  const response = await fetch(url, options);
  if (!response.ok) return response;
  const set = (await response.json()) as { readonly keys?: unknown };
  if (!Array.isArray(set.keys)) return Response.json(set);
  return Response.json({ ...set, keys: set.keys.map(withoutEdName) });
};

function withoutEdName(key: unknown): unknown {
  if (key === null || typeof key !== 'object' || !('alg' in key)) return key;
  const { alg, ...rest } = key;
  return alg === 'EdDSA' || alg === 'Ed25519' ? rest : key;
}

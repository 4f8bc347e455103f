import type { Cluster, Redis } from 'ioredis';
import {
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
  type RateLimiterAbstract,
} from 'rate-limiter-flexible';
import type { Config } from '../config/config.js';
import { ParleyError } from '../errors.js';

const SIGN_IN_SECONDS = 15 * 60;
const SIGN_UP_SECONDS = 60 * 60;

/**
 * Limits on guessing and on mass sign-up. Counted in Redis where there is one, so that processes share the counts; while
 * it does not answer each process counts for itself.
 */
export class AccountLimits {
  private readonly byAccount: RateLimiterAbstract;
  private readonly byAddress: RateLimiterAbstract;
  private readonly signUps: RateLimiterAbstract;

  constructor(limits: Config['rateLimits'], redis: Redis | Cluster | undefined) {
    const limiter = (keyPrefix: string, points: number, duration: number): RateLimiterAbstract => {
      const memory = new RateLimiterMemory({ keyPrefix, points, duration });
      if (redis === undefined) return memory;
      return new RateLimiterRedis({
        storeClient: redis,
        keyPrefix: `parley:${keyPrefix}`,
        points,
        duration,
        insuranceLimiter: memory,
        rejectIfRedisNotReady: true,
      });
    };
    this.byAccount = limiter('sign-in-account', limits.signInsPerAccount, SIGN_IN_SECONDS);
    this.byAddress = limiter('sign-in-address', limits.signInsPerAddress, SIGN_IN_SECONDS);
    this.signUps = limiter('sign-up-address', limits.signUpsPerAddress, SIGN_UP_SECONDS);
  }

  /** Counts an attempt before its password is looked at. Throws RATE_LIMITED when there were too many. */
  async attemptSignIn(email: string, address: string): Promise<void> {
    await consume(this.byAddress, address, 'sign-ins from this address');
    await consume(this.byAccount, email, 'sign-ins to this account');
  }

  /** A sign-in that succeeded does not count against the account or the address. */
  async signInSucceeded(email: string, address: string): Promise<void> {
    await Promise.all([this.byAccount.delete(email), this.byAddress.reward(address)]);
  }

  /** Throws RATE_LIMITED when there were too many. */
  async attemptSignUp(address: string): Promise<void> {
    await consume(this.signUps, address, 'sign-ups from this address');
  }
}

async function consume(limiter: RateLimiterAbstract, key: string, what: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
    const retryAfter = Math.ceil(error.msBeforeNext / 1000);
    throw new ParleyError('RATE_LIMITED', `Too many ${what}: try again in ${String(retryAfter)} s.`, {
      retryAfter,
    });
  }
}

import type { Cluster, Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, type RateLimiterAbstract } from 'rate-limiter-flexible';
import type { Config } from '../config/config.js';
import { AttemptLimit, type Attempt } from './attempt-limit.js';

const FAILED_SECONDS = 15 * 60;
const SUCCEEDED_SECONDS = 60;
const SIGN_UP_SECONDS = 60 * 60;

/** Sign-ins that succeed from one address in a minute: each costs a hash. */
export const SUCCEEDED_PER_ADDRESS = 60;

/**
 * Limits on guessing and on mass sign-up. Counted in Redis where there is one, so that processes share the counts; while
 * it does not answer each process counts for itself. `address` is always the key of an address (addresses.ts).
 */
export class AccountLimits {
  private readonly failedByAccount: AttemptLimit;
  private readonly failedByDevice: AttemptLimit;
  private readonly failedByAddress: AttemptLimit;
  private readonly succeededByAddress: AttemptLimit;
  private readonly signUps: AttemptLimit;

  constructor(limits: Config['rateLimits'], redis: Redis | Cluster | undefined) {
    const limit = (keyPrefix: string, points: number, duration: number, what: string): AttemptLimit =>
      new AttemptLimit(counter(redis, { keyPrefix, points, duration }), what);
    const { signInsPerAccount, signInsPerAddress, signUpsPerAddress } = limits;
    const toAccount = 'failed sign-ins to this account';
    this.failedByAccount = limit('sign-in-account', signInsPerAccount, FAILED_SECONDS, toAccount);
    this.failedByDevice = limit('sign-in-device', signInsPerAccount, FAILED_SECONDS, toAccount);
    this.failedByAddress = limit(
      'sign-in-address',
      signInsPerAddress,
      FAILED_SECONDS,
      'failed sign-ins from this address',
    );
    this.succeededByAddress = limit(
      'sign-in-success',
      SUCCEEDED_PER_ADDRESS,
      SUCCEEDED_SECONDS,
      'sign-ins from this address',
    );
    this.signUps = limit('sign-up-address', signUpsPerAddress, SIGN_UP_SECONDS, 'sign-ups from this address');
  }

  /** Before a password is looked at. Throws RATE_LIMITED. */
  async signIn(address: string): Promise<SignInAttempt> {
    const failed = await this.failedByAddress.begin(address);
    try {
      return new SignInAttempt(
        address,
        failed,
        await this.succeededByAddress.begin(address),
        this.failedByAccount,
        this.failedByDevice,
      );
    } catch (error) {
      failed.end();
      throw error;
    }
  }

  /** Throws RATE_LIMITED. */
  signUp(address: string): Promise<Attempt> {
    return this.signUps.begin(address);
  }
}

/** One sign-in, which counts by how it ends. */
class SignInAttempt {
  private toAccount: Attempt | undefined;
  private forgive: (() => Promise<void>) | undefined;

  constructor(
    private readonly address: string,
    private readonly failure: Attempt,
    private readonly success: Attempt,
    private readonly byAccount: AttemptLimit,
    private readonly byDevice: AttemptLimit,
  ) {}

  /**
   * Whose account it is tried at. From an address that is known to sign in there it is counted by itself, so that strangers who guess
   * cannot lock it out. Throws RATE_LIMITED.
   */
  async at(email: string, isKnown: boolean): Promise<void> {
    const limit = isKnown ? this.byDevice : this.byAccount;
    const key = isKnown ? `${email} ${this.address}` : email;
    this.toAccount = await limit.begin(key);
    this.forgive = () => limit.forget(key);
  }

  async failed(): Promise<void> {
    await Promise.all([this.failure.count(), this.toAccount?.count()]);
  }

  /** Forgets the failures before it, at this account. */
  async succeeded(): Promise<void> {
    await Promise.all([this.success.count(), this.forgive?.()]);
  }

  end(): void {
    this.failure.end();
    this.success.end();
    this.toAccount?.end();
  }
}

function counter(
  redis: Redis | Cluster | undefined,
  options: { keyPrefix: string; points: number; duration: number },
): RateLimiterAbstract {
  const memory = new RateLimiterMemory(options);
  if (redis === undefined) return memory;
  return new RateLimiterRedis({
    ...options,
    storeClient: redis,
    keyPrefix: `parley:${options.keyPrefix}`,
    insuranceLimiter: memory,
    rejectIfRedisNotReady: true,
  });
}

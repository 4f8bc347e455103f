import type { Cluster, Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import { addressKey } from '../addresses.js';
import type { Config, Rate, RateKind } from '../config/config.js';
import { ParleyError } from '../errors.js';
import { SharedRate } from './shared-rate.js';

const SECONDS = 60;

const WHAT: Record<RateKind, string> = {
  operations: 'operations',
  posts: 'changes of messages',
  rooms: 'new rooms',
  joins: 'changes of members',
  uploads: 'uploads',
};

/** Who does something: the signed-in user, if any, and the address that it comes from. */
export interface Doer {
  readonly userId: string | undefined;
  readonly address: string;
}

interface Limit {
  readonly byPerson: SharedRate;
  readonly byAddress: SharedRate;
}

/** Limits on what a person, and an address, may do in a minute. */
export class RateLimits {
  private readonly limits: Partial<Record<RateKind, Limit>>;

  constructor(rates: Config['rates'], redis: Redis | Cluster | undefined) {
    this.limits = Object.fromEntries(
      Object.entries(rates).flatMap(([kind, rate]) =>
        rate === undefined ? [] : [[kind, limitOf(kind, rate, redis)]],
      ),
    );
  }

  /** Counts it, or answers why it is refused: RATE_LIMITED. */
  refusal(kind: RateKind, { userId, address }: Doer, times = 1): ParleyError | undefined {
    const limit = this.limits[kind];
    if (limit === undefined) return undefined;
    const network = addressKey(address);
    const retryAfter =
      (userId === undefined ? undefined : limit.byPerson.wait(userId, times)) ??
      limit.byAddress.wait(network, times);
    if (retryAfter === undefined) {
      if (userId !== undefined) limit.byPerson.add(userId, times);
      limit.byAddress.add(network, times);
      return undefined;
    }
    return new ParleyError(
      'RATE_LIMITED',
      `Too many ${WHAT[kind]} in a minute: try again in ${String(retryAfter)} s.`,
      { retryAfter },
    );
  }
}

function limitOf(kind: string, rate: Rate, redis: Redis | Cluster | undefined): Limit {
  const counter = (by: string, points: number): SharedRate =>
    new SharedRate(
      points,
      redis &&
        new RateLimiterRedis({
          storeClient: redis,
          keyPrefix: `parley:${kind}-${by}`,
          points,
          duration: SECONDS,
          rejectIfRedisNotReady: true,
        }),
    );
  return { byPerson: counter('person', rate.perPerson), byAddress: counter('address', rate.perAddress) };
}

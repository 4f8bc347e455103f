import type { RateLimiterAbstract } from 'rate-limiter-flexible';
import { ParleyError } from '../errors.js';

/** Something under way that may turn out to count. */
export interface Attempt {
  /** Counts it. Resolves once it is counted. */
  count(): Promise<void>;
  /** It is over, and takes up no place any more. Whatever else happens, this is called. */
  end(): void;
}

/**
 * A limit on what is only known afterwards to count, such as a wrong password. While an attempt is under way it takes up a place, so that many at
 * once get no more tries than one after the other; a refused one counts for nothing. Places are this process's own, counts are shared.
 */
export class AttemptLimit {
  private readonly underWay = new Map<string, number>();

  /** `what` is limited, as the client is told: "sign-ins from this address". */
  constructor(
    private readonly counts: RateLimiterAbstract,
    private readonly what: string,
  ) {}

  /** Throws RATE_LIMITED when there were too many, or too many are under way. */
  async begin(key: string): Promise<Attempt> {
    // Before it is asked what was counted: an attempt that ends meanwhile is seen in one or the other, or in both.
    const place = (this.underWay.get(key) ?? 0) + 1;
    this.underWay.set(key, place);
    try {
      const counted = await this.counts.get(key);
      const consumed = counted?.consumedPoints ?? 0;
      if (consumed >= this.counts.points) throw this.refusal(Math.ceil((counted?.msBeforeNext ?? 0) / 1000));
      if (consumed + place > this.counts.points) throw this.refusal(1);
    } catch (error) {
      this.leave(key);
      throw error;
    }
    return {
      count: async () => {
        await this.counts.penalty(key);
      },
      end: () => {
        this.leave(key);
      },
    };
  }

  /** Forgets what was counted. */
  async forget(key: string): Promise<void> {
    await this.counts.delete(key);
  }

  private leave(key: string): void {
    const left = (this.underWay.get(key) ?? 1) - 1;
    if (left === 0) this.underWay.delete(key);
    else this.underWay.set(key, left);
  }

  private refusal(seconds: number): ParleyError {
    const retryAfter = Math.max(1, seconds);
    return new ParleyError('RATE_LIMITED', `Too many ${this.what}: try again in ${String(retryAfter)} s.`, {
      retryAfter,
    });
  }
}

import type { RateLimiterAbstract } from 'rate-limiter-flexible';

const WINDOW_MS = 60_000;
/** Keys that are counted at once. Where there are more, all begin anew: someone with so many networks is not stopped by counting. */
const MAX_KEYS = 100_000;
/** Of what is allowed: so much a process counts by itself, and so much it reports at a time from there on. */
const OWN_SHARE = 1 / 10;
const BATCH_SHARE = 1 / 50;

interface Count {
  /** In this process. */
  own: number;
  /** That the others do not know of yet. */
  unsent: number;
  /** In all processes together, as it was told last, and when that ends. */
  total: number;
  totalEndsAt: number;
  isSending: boolean;
}

/**
 * What each key may do in a minute. Asked of this process's memory alone, so that nothing waits for it; who does much is reported to the
 * counter that processes share, in the background and some at a time. So several processes together allow a tenth more for each.
 */
export class SharedRate {
  private readonly counts = new Map<string, Count>();
  private endsAt = 0;

  /** `shared`: counts for a minute, for all processes; undefined where there is one process. */
  constructor(
    private readonly allowed: number,
    private readonly shared: RateLimiterAbstract | undefined,
  ) {}

  /** Counts `times`, or answers in how many seconds that may be tried again. What is refused counts for nothing. */
  take(key: string, times = 1): number | undefined {
    const seconds = this.wait(key, times);
    if (seconds === undefined) this.add(key, times);
    return seconds;
  }

  /** In how many seconds something may be done so many times, undefined for now. Counts nothing. */
  wait(key: string, times: number): number | undefined {
    const now = performance.now();
    if (now >= this.endsAt || this.counts.size >= MAX_KEYS) {
      this.counts.clear();
      this.endsAt = now + WINDOW_MS;
    }
    const count = this.counts.get(key);
    if (count === undefined) return undefined;
    // More at once than is ever allowed passes where nothing was done before it.
    if (count.own > 0 && count.own + times > this.allowed) return secondsFrom(now, this.endsAt);
    if (now < count.totalEndsAt && count.total + count.unsent + times > this.allowed) {
      return secondsFrom(now, count.totalEndsAt);
    }
    return undefined;
  }

  /** Counts what may be done. */
  add(key: string, times: number): void {
    let count = this.counts.get(key);
    if (count === undefined) {
      count = { own: 0, unsent: 0, total: 0, totalEndsAt: 0, isSending: false };
      this.counts.set(key, count);
    }
    count.own += times;
    count.unsent += times;
    if (this.shared !== undefined && this.isDue(count)) void report(this.shared, key, count);
  }

  private isDue({ own, unsent, isSending }: Count): boolean {
    return !isSending && own > this.allowed * OWN_SHARE && unsent >= this.allowed * BATCH_SHARE;
  }
}

async function report(shared: RateLimiterAbstract, key: string, count: Count): Promise<void> {
  const sent = count.unsent;
  count.isSending = true;
  count.unsent = 0;
  try {
    const { consumedPoints, msBeforeNext } = await shared.penalty(key, sent);
    count.total = consumedPoints;
    count.totalEndsAt = performance.now() + msBeforeNext;
  } catch {
    // While Redis is away each process counts for itself.
    count.unsent += sent;
  } finally {
    count.isSending = false;
  }
}

const secondsFrom = (now: number, then: number): number => Math.max(1, Math.ceil((then - now) / 1000));

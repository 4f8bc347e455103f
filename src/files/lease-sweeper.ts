import type { Clock } from '../db/clock.js';
import type { Database } from '../db/database.js';
import type { Logger } from '../observability/logger.js';
import type { Storage } from './storage/storage.js';
import { deleteExpiredLease, takeExpiredLeases } from './upload-leases.queries.js';

/** Milliseconds between two looks for leases that have run out. */
const INTERVAL_MS = 30_000;
/** Milliseconds until what may wait is swept. */
const LATER_MS = 1000;
/** Leases taken at once. */
const BATCH = 100;

/**
 * Deletes the bytes that only an expired lease names: uploads that a crash cut off, files that were deleted, what came a second time. Several
 * processes may sweep at once. Bytes go before the lease, so that a crash in between leaks nothing.
 */
export class LeaseSweeper {
  private timer: NodeJS.Timeout | undefined;
  private later: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;

  constructor(
    private readonly deps: {
      readonly db: Database;
      readonly storage: Storage;
      readonly logger: Logger;
      /** While time is not to be trusted, leases that merely ran out are left alone. Undefined: it is. */
      readonly clock?: Pick<Clock, 'isTrusted'> | undefined;
    },
  ) {}

  /** Sweeps now and from time to time. Keeps no process alive. */
  start(): void {
    this.timer = setInterval(() => this.sweepSoon(), INTERVAL_MS);
    this.timer.unref();
    this.sweepSoon();
  }

  /** Sweeps without making anyone wait, once more if a sweep is under way. Failures are logged and tried again later. */
  sweepSoon(): void {
    if (this.stopped) return;
    this.again = true;
    this.running ??= this.run();
  }

  /** Sweeps in a second, so that what is left to sweep does not show in how long an answer takes. */
  sweepLater(): void {
    if (this.stopped) return;
    this.later ??= setTimeout(() => {
      this.later = undefined;
      this.sweepSoon();
    }, LATER_MS).unref();
  }

  /** Resolves when the sweep under way has ended. */
  async idle(): Promise<void> {
    await this.running;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    clearTimeout(this.later);
    await this.running;
  }

  private async run(): Promise<void> {
    try {
      while (this.again && !this.stopped) {
        this.again = false;
        await this.sweep();
      }
    } catch (err) {
      this.deps.logger.warn({ err }, 'the sweep of leftover bytes failed, it is tried again');
    } finally {
      this.running = undefined;
    }
  }

  private async sweep(): Promise<void> {
    const { db, storage, logger, clock } = this.deps;
    const failed = new Set<string>();
    for (;;) {
      // Asked before each batch: a clock may jump while there is much to delete.
      const which = (await clock?.isTrusted()) === false ? 'let go' : 'let go or run out';
      const keys = await takeExpiredLeases(db, which, BATCH + failed.size);
      const fresh = keys.filter((key) => !failed.has(key));
      if (fresh.length === 0 || this.stopped) return;
      for (const key of fresh) {
        try {
          await storage.delete(key);
          await deleteExpiredLease(db, key);
        } catch (err) {
          failed.add(key);
          logger.warn({ err, storageKey: key }, 'leftover bytes could not be deleted, it is tried again');
        }
      }
    }
  }
}

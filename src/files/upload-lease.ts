import type { Database } from '../db/database.js';
import { incomplete } from './incoming-file.js';
import { newStorageKey } from './storage/storage.js';
import { extendLease, insertLease } from './upload-leases.queries.js';

export interface LeaseTimes {
  /** Milliseconds without a heartbeat after which anyone may sweep the bytes away. */
  readonly leaseMs: number;
  readonly heartbeatMs: number;
}

const TIMES: LeaseTimes = { leaseMs: 120_000, heartbeatMs: 30_000 };

/** The claim of an upload under way on its bytes: a row that is written before the first byte and kept alive since. */
export class UploadLease {
  /** Aborted when the lease was lost, so that nobody goes on writing what another may sweep. */
  readonly signal: AbortSignal;
  private readonly lost = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private goodUntil: number;

  /** Writes the row. `release` must follow. */
  static async take(db: Database, times = TIMES): Promise<UploadLease> {
    const storageKey = newStorageKey();
    const asked = performance.now();
    await insertLease(db, storageKey, times.leaseMs);
    return new UploadLease(db, storageKey, times, asked);
  }

  private constructor(
    private readonly db: Database,
    readonly storageKey: string,
    private readonly times: LeaseTimes,
    asked: number,
  ) {
    this.signal = this.lost.signal;
    this.goodUntil = asked + times.leaseMs;
    this.timer = setInterval(() => void this.beat(), times.heartbeatMs);
    this.timer.unref();
  }

  /** Ends the heartbeat. What becomes of the row is decided elsewhere: redeemed, or expired. */
  release(): void {
    clearInterval(this.timer);
  }

  private async beat(): Promise<void> {
    const asked = performance.now();
    try {
      if (await extendLease(this.db, this.storageKey, this.times.leaseMs)) {
        this.goodUntil = asked + this.times.leaseMs;
      } else {
        this.abort();
      }
    } catch {
      // The database may be away for a moment; the lease stands until its time has passed.
      if (performance.now() + this.times.heartbeatMs > this.goodUntil) this.abort();
    }
  }

  private abort(): void {
    this.lost.abort(incomplete('The upload was interrupted on the server: send the file again.'));
  }
}

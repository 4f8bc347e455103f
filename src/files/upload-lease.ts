import { Heartbeat, type HeartbeatTimes } from '../async/heartbeat.js';
import { transaction, type Database } from '../db/database.js';
import { throughOutage } from '../db/outage.js';
import { ParleyError } from '../errors.js';
import { incomplete } from './incoming-file.js';
import { newStorageKey } from './storage/storage.js';
import { countLeases, extendLease, insertLease } from './upload-leases.queries.js';
import { lockUsage } from './usage.queries.js';

/** Without a heartbeat for `holdMs` anyone may sweep the bytes away. */
const TIMES: HeartbeatTimes = { holdMs: 120_000, heartbeatMs: 30_000 };

/** Seconds after which one of the uploads under way may well be over. */
const RETRY_AFTER = 5;

/** Whose upload it is, and how many of theirs may be under way at once. */
export interface Uploader {
  readonly userId: string;
  readonly atOnce: number;
}

/** The claim of an upload under way on its bytes: a row that is written before the first byte and kept alive since. */
export class UploadLease {
  /** Aborted when the lease was lost, so that nobody goes on writing what another may sweep. */
  readonly signal: AbortSignal;
  private readonly lost = new AbortController();
  private readonly heartbeat: Heartbeat;

  /**
   * Writes the row; without an uploader, of bytes that the server makes itself. `release` must follow. Throws RATE_LIMITED when as many uploads of the user are under way as may be, over all processes;
   * those of a process that died count until their leases have run out.
   */
  static async take(db: Database, uploader: Uploader | undefined, times = TIMES): Promise<UploadLease> {
    if (uploader === undefined) {
      const storageKey = newStorageKey();
      const begun = performance.now();
      await insertLease(db, storageKey, times.holdMs);
      return new UploadLease(db, storageKey, times, begun);
    }
    const { userId, atOnce } = uploader;
    return throughOutage(async () => {
      // What an attempt before may have committed runs out by itself.
      const storageKey = newStorageKey();
      let asked = 0;
      await transaction(db, async (trx) => {
        // Two that begin at once would not see each other.
        await lockUsage(trx, userId);
        if ((await countLeases(trx, userId)) >= atOnce) throw tooMany(atOnce);
        asked = performance.now();
        await insertLease(trx, storageKey, times.holdMs, userId);
      });
      return new UploadLease(db, storageKey, times, asked);
    });
  }

  private constructor(
    private readonly db: Database,
    readonly storageKey: string,
    times: HeartbeatTimes,
    asked: number,
  ) {
    this.signal = this.lost.signal;
    this.heartbeat = new Heartbeat(
      times,
      asked,
      (hasTime) => extendLease(this.db, storageKey, times.holdMs, hasTime),
      () => this.lost.abort(incomplete('The upload was interrupted on the server: send the file again.')),
    );
  }

  /** Ends the heartbeat. What becomes of the row is decided elsewhere: redeemed, or expired. */
  release(): void {
    this.heartbeat.stop();
  }
}

const tooMany = (atOnce: number): ParleyError =>
  new ParleyError(
    'RATE_LIMITED',
    `You can have at most ${String(atOnce)} uploads in progress at once: wait for one of them to finish.`,
    { retryAfter: RETRY_AFTER },
  );

import { sql } from 'kysely';
import type { Logger } from '../observability/logger.js';
import type { Database } from './database.js';

/** The database's time, in milliseconds since the epoch. */
export type Now = () => number;

/** Milliseconds between two looks at the database's clock. */
const INTERVAL_MS = 30_000;
/** A look that is no older than this decides whether something may be deleted. */
const FRESH_MS = 5000;
/** Milliseconds by which clocks may differ, and by which the database's may move at once. */
const TOLERATED_MS = 10_000;
/** Nothing is deleted for so long once the database's clock has moved: longer than a lease takes to be renewed. */
const SETTLING_MS = 300_000;
/**
 * Postgres intervals: a jump beyond the first is doubted for the second, restarts included, and no more once the clock was set back by the
 * third: processes that look at the same time may do so in another order.
 */
const [JUMP, DOUBT, BACK] = ['1 day', '1 day', '10 seconds'];

/**
 * The database's clock as this process knows it: what was asked last, and the monotonic clock since. All that is signed, and all that
 * clients are told, is timed by it, so processes agree whatever their own clocks say.
 *
 * It also says whether time can be trusted to make things old (`isTrusted`). It cannot while this process's clock and the database's
 * differ, since one of them is wrong; nor right after the database's clock has jumped, which is all that an embedded database can tell.
 */
export class Clock {
  /** What makes database time of `performance.now()`. */
  private shift: number | undefined;
  private lookedAt = -Infinity;
  /** By `performance.now()`. */
  private doubtedUntil = -Infinity;
  private differs = false;
  private readonly timer: NodeJS.Timeout;

  /** Looks at the clock of a database that is migrated, and again from time to time. Throws when the database does not answer. */
  static async start(db: Database, logger: Logger): Promise<Clock> {
    const clock = new Clock(db, logger);
    try {
      await clock.look();
      await clock.mark();
      return clock;
    } catch (error) {
      clock.stop();
      throw error;
    }
  }

  private constructor(
    private readonly db: Database,
    private readonly logger: Logger,
  ) {
    this.timer = setInterval(() => {
      // The next look will do.
      this.look().catch((err: unknown) => logger.debug({ err }, "the database's clock was not looked at"));
    }, INTERVAL_MS);
    this.timer.unref();
  }

  readonly now: Now = () => performance.now() + (this.shift ?? 0);

  /** A time of the database's as `performance.now()` will show it. */
  readonly monotonic = (time: number): number => time - (this.shift ?? 0);

  /** Milliseconds by which the clock of this process is ahead of the database's. */
  get aheadMs(): number {
    return Date.now() - this.now();
  }

  /** Whether what time alone made old may be deleted. Rejects when the database does not answer. */
  async isTrusted(): Promise<boolean> {
    if (performance.now() - this.lookedAt > FRESH_MS) await this.look();
    return !this.differs && performance.now() >= this.doubtedUntil;
  }

  /**
   * Writes down that the database's clock was looked at, so that a jump shows, also one between two starts. Called more often than once a
   * day while the server runs.
   */
  async mark(): Promise<void> {
    const { rows } = await sql<{ doubtedMs: number; jumpSeconds: number }>`
      with before as (select seen_at, doubted_until, clock_timestamp() as now from clock for update)
      update clock set seen_at = now, doubted_until = case
        when now > before.seen_at + ${JUMP}::interval then now + ${DOUBT}::interval
        when now < before.seen_at - ${BACK}::interval then null
        else before.doubted_until end
      from before
      returning extract(epoch from now - before.seen_at)::bigint as "jumpSeconds",
        (coalesce(extract(epoch from clock.doubted_until - now), 0) * 1000)::bigint as "doubtedMs"`.execute(
      this.db,
    );
    const { doubtedMs = 0, jumpSeconds = 0 } = rows[0] ?? {};
    const isKnown = performance.now() + doubtedMs < this.doubtedUntil + FRESH_MS;
    if (doubtedMs <= 0 || isKnown) return;
    this.doubt(doubtedMs);
    this.logger.warn(
      { jumpSeconds, doubtedSeconds: Math.round(doubtedMs / 1000) },
      `the database's clock has jumped since it was last looked at, or the server was off for long: nothing that is old is deleted for ${spell(doubtedMs)}`,
    );
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    const asked = performance.now();
    const { rows } = await sql<{ now: number }>`
      select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(this.db);
    const answered = performance.now();
    const [row] = rows;
    if (row === undefined) throw new Error('the database does not tell the time');
    await this.set(row.now, asked, answered);
  }

  /** `now`: what the database's clock showed at some time between `asked` and `answered`. */
  private async set(now: number, asked: number, answered: number): Promise<void> {
    this.lookedAt = answered;
    const known = this.shift;
    const [least, most] = [now - answered, now - asked];
    // Moved no further than it is surely off, so that slow answers do not move it about.
    this.shift = known === undefined ? (least + most) / 2 : Math.min(Math.max(known, least), most);
    this.compare(answered - asked);
    const moved = this.shift - (known ?? this.shift);
    if (Math.abs(moved) <= TOLERATED_MS) return;
    this.doubt(SETTLING_MS);
    this.logger.warn(
      { movedSeconds: moved / 1000 },
      `the database's clock has moved by ${spell(moved)}: nothing that is old is deleted for ${spell(SETTLING_MS)}`,
    );
    await this.mark();
  }

  private compare(unsureMs: number): void {
    const ahead = this.aheadMs;
    const differed = this.differs;
    if (Math.abs(ahead) > TOLERATED_MS + unsureMs) this.differs = true;
    else if (Math.abs(ahead) < TOLERATED_MS) this.differs = false;
    if (this.differs === differed) return;
    const aheadSeconds = Math.round(ahead / 1000);
    if (this.differs) {
      this.logger.warn(
        { aheadSeconds },
        `the clock of this process is ${spell(ahead)} ${ahead > 0 ? 'ahead of' : 'behind'} the database's, so one of them is wrong: this process goes by the database's, and deletes nothing that is old until they agree`,
      );
    } else {
      this.logger.info({ aheadSeconds }, "the clock of this process agrees with the database's again");
    }
  }

  private doubt(ms: number): void {
    this.doubtedUntil = Math.max(this.doubtedUntil, performance.now() + ms);
  }
}

/** Such as `40 days`. */
function spell(ms: number): string {
  const seconds = Math.abs(ms) / 1000;
  if (seconds >= 172_800) return `${Math.round(seconds / 86_400)} days`;
  if (seconds >= 7200) return `${Math.round(seconds / 3600)} hours`;
  if (seconds >= 120) return `${Math.round(seconds / 60)} minutes`;
  return `${Math.round(seconds)} seconds`;
}

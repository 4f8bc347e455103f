import { backoff } from '../async/backoff.js';
import { Heartbeat, type HeartbeatTimes } from '../async/heartbeat.js';
import type { Database } from '../db/database.js';
import { counts } from '../observability/counts.js';
import type { Logger } from '../observability/logger.js';
import { endJob, letJobGo, putJobOff, takeJob, type HeldJob } from './jobs.queries.js';

/** How jobs of one kind are done. */
export interface JobKind {
  /** As `addJob` (jobs.queries.ts) names it. */
  readonly kind: string;
  /** Jobs of the kind that one process is at together. */
  readonly atOnce: number;
  /** Of those, the most that are one owner's: fewer, so that nobody's work fills all places. Without it as many as there are. */
  readonly perOwner?: number;
  /**
   * Does the job. It may be done twice, and by two processes at once where one was taken for dead: what it does must stand that. Throwing lets it be tried again, later and
   * later. `signal` is aborted when the process stops, or no longer holds the job.
   */
  run(subject: string, signal: AbortSignal): Promise<void>;
  /** Times that it is begun before it is given up: without it, it is tried for ever. */
  readonly attempts?: number;
  /** Called in place of one more attempt, with what the last one threw; undefined where its process died. When this throws, it is called again later. */
  giveUp?(subject: string, error: unknown): Promise<void>;
}

/** `holdMs`: without a heartbeat for as long, a job's process is taken for dead. */
export interface JobTimes extends HeartbeatTimes {
  /** Milliseconds between two looks for jobs that others have asked for. */
  readonly pollMs: number;
  /** Milliseconds to the second attempt; doubled for each one that follows. */
  readonly retryMs: number;
}

const TIMES: JobTimes = { holdMs: 60_000, heartbeatMs: 15_000, pollMs: 5000, retryMs: 1000 };
const MAX_RETRY_MS = 600_000;

/**
 * Does the jobs that the database holds, each kind in bounded number, off the requests that asked for them. A job whose process died is done by
 * any other once its hold has run out; one that is stopped is let go at once.
 */
export class JobRunner {
  private readonly lanes: readonly Lane[];
  private timer: NodeJS.Timeout | undefined;

  constructor(
    deps: { readonly db: Database; readonly logger: Logger },
    kinds: readonly JobKind[],
    private readonly times: JobTimes = TIMES,
  ) {
    this.lanes = kinds.map((kind) => new Lane(deps, kind, times));
  }

  /** Looks for jobs now and from time to time. Keeps no process alive. */
  start(): void {
    this.timer = setInterval(() => this.wake(), this.times.pollMs);
    this.timer.unref();
    this.wake();
  }

  /** Looks for jobs now, for whoever has committed one. Waits for nothing. */
  wake(): void {
    for (const lane of this.lanes) lane.wake();
  }

  /** Takes no more jobs, aborts those under way and resolves when they have settled. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.lanes.map((lane) => lane.stop()));
  }
}

/** The jobs of one kind. */
class Lane {
  private readonly running = new Set<Promise<void>>();
  /** How many of them are whose. */
  private readonly owners = new Map<string, number>();
  private readonly stopping = new AbortController();
  private looking: Promise<void> | undefined;
  private again = false;

  constructor(
    private readonly deps: { readonly db: Database; readonly logger: Logger },
    private readonly kind: JobKind,
    private readonly times: JobTimes,
  ) {}

  wake(): void {
    if (this.stopping.signal.aborted) return;
    this.again = true;
    this.looking ??= this.look().finally(() => {
      this.looking = undefined;
      if (this.again) this.wake();
    });
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error('the process stops'));
    await this.looking;
    await Promise.all(this.running);
  }

  /** Takes as many as there is room for: one after the other, since each may use up its owner's share. */
  private async look(): Promise<void> {
    const { kind, atOnce } = this.kind;
    while (this.again && !this.stopping.signal.aborted) {
      this.again = false;
      // Whichever ends first looks again.
      if (this.running.size >= atOnce) return;
      try {
        const job = await takeJob(this.deps.db, kind, this.busyOwners(), this.times.holdMs);
        if (job === undefined) continue;
        this.begin(job);
        this.again = true;
      } catch (err) {
        this.deps.logger.warn({ err, kind }, 'looking for jobs failed, it is tried again');
      }
    }
  }

  /** Those who have as many under way as they may. */
  private busyOwners(): string[] {
    const { perOwner = Infinity } = this.kind;
    return [...this.owners].flatMap(([owner, count]) => (count >= perOwner ? [owner] : []));
  }

  private begin(job: HeldJob): void {
    this.countOwner(job, 1);
    const run = this.attempt(job).finally(() => {
      this.countOwner(job, -1);
      this.running.delete(run);
      this.wake();
    });
    this.running.add(run);
  }

  private countOwner({ owner }: HeldJob, by: 1 | -1): void {
    if (owner === null) return;
    const count = (this.owners.get(owner) ?? 0) + by;
    if (count === 0) this.owners.delete(owner);
    else this.owners.set(owner, count);
  }

  private async attempt(job: HeldJob): Promise<void> {
    const { kind, subject } = job;
    const { db, logger } = this.deps;
    const hold = new Hold(db, job, this.times, this.stopping.signal);
    try {
      await this.do(job, hold.signal);
      await endJob(db, job);
    } catch (err) {
      const isStopped = this.stopping.signal.aborted;
      if (!isStopped) {
        counts.jobs.failed += 1;
        logger.warn({ err, kind, subject, attempts: job.attempts }, 'a job failed, it is tried again');
      }
      const later = isStopped ? letJobGo(db, job) : putJobOff(db, job, this.pauseAfter(job));
      // Where this fails too, its hold runs out.
      await later.catch(() => undefined);
    } finally {
      hold.release();
    }
  }

  private async do({ kind, subject, attempts }: HeldJob, signal: AbortSignal): Promise<void> {
    const most = this.kind.attempts ?? Infinity;
    let reason: unknown;
    if (attempts <= most) {
      try {
        await this.kind.run(subject, signal);
        counts.jobs.done += 1;
        return;
      } catch (error) {
        if (attempts < most || signal.aborted) throw error;
        reason = error;
      }
    }
    await this.kind.giveUp?.(subject, reason);
    counts.jobs.given_up += 1;
    this.deps.logger.error({ err: reason, kind, subject, attempts }, 'a job was given up');
  }

  private pauseAfter({ attempts }: HeldJob): number {
    return Math.round(backoff({ firstMs: this.times.retryMs, mostMs: MAX_RETRY_MS }, attempts - 1));
  }
}

/** This process's hold on a job, kept alive by a heartbeat. */
class Hold {
  /** Aborted when the hold was lost, and when the process stops. */
  readonly signal: AbortSignal;
  private readonly lost = new AbortController();
  private readonly heartbeat: Heartbeat;

  constructor(db: Database, job: HeldJob, times: JobTimes, stopping: AbortSignal) {
    this.signal = AbortSignal.any([this.lost.signal, stopping]);
    this.heartbeat = new Heartbeat(
      times,
      performance.now(),
      () => putJobOff(db, job, times.holdMs),
      () => this.lost.abort(new Error('the job is no longer held: its process was taken for dead')),
    );
  }

  release(): void {
    this.heartbeat.stop();
  }
}

import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../../db/database.js';
import { notFound, ParleyError } from '../../errors.js';
import type { Logger } from '../../observability/logger.js';
import { askToLetGo, holdLocks, releaseLock, takeLock } from './upload-locks.queries.js';

export interface LockTimes {
  /** Milliseconds without a heartbeat after which whoever has a lock is taken for dead. */
  readonly holdMs: number;
  readonly heartbeatMs: number;
  /** Milliseconds that a request waits for a lock. */
  readonly waitMs: number;
  /** Milliseconds between two tries. */
  readonly retryMs: number;
}

const TIMES: LockTimes = { holdMs: 10_000, heartbeatMs: 1000, waitMs: 20_000, retryMs: 100 };

/** A lock that this process has. */
export interface UploadLock {
  readonly id: string;
  /** Greater than that of any lock before: what is written names it, and is refused once there is a greater one. */
  readonly fence: number;
  release(): Promise<void>;
}

interface Held extends UploadLock {
  /** Another one wants it, or has it. */
  readonly letGo: () => void;
  goodUntil: number;
}

/**
 * Locks on uploads, in their rows, for all processes: one request at a time reads or writes an upload, and the newest gets it. Whoever has the lock
 * is told to let go, here at once, elsewhere with the next heartbeat; one whose heartbeat is missing is passed over. That it then cannot write any more
 * is seen to by the fence.
 */
export class UploadLocks {
  private readonly held = new Map<string, Held>();
  private readonly timer: NodeJS.Timeout;
  private beating: Promise<void> | undefined;

  constructor(
    private readonly deps: { readonly db: Database; readonly logger: Logger },
    private readonly times: LockTimes = TIMES,
  ) {
    this.timer = setInterval(() => {
      this.beating ??= this.beat().finally(() => {
        this.beating = undefined;
      });
    }, times.heartbeatMs);
    this.timer.unref();
  }

  /**
   * Waits for the lock. `letGo` is called once another request wants it, or it was lost. Throws NOT_FOUND where there is no such upload, LockTimeoutError,
   * and what `signal` was aborted with.
   */
  async acquire(id: string, letGo: () => void, signal?: AbortSignal): Promise<UploadLock> {
    const deadline = performance.now() + this.times.waitMs;
    for (;;) {
      signal?.throwIfAborted();
      const asked = performance.now();
      const fence = await takeLock(this.deps.db, id, this.times.holdMs);
      if (fence !== undefined) return this.hold(id, fence, letGo, asked);
      this.held.get(id)?.letGo();
      if (!(await askToLetGo(this.deps.db, id))) throw notFound('The upload');
      if (performance.now() > deadline) throw new LockTimeoutError();
      await pause(this.times.retryMs, undefined, { signal });
    }
  }

  /** Holds on to nothing any more: a lock that is still had runs out. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.beating;
  }

  private hold(id: string, fence: number, letGo: () => void, asked: number): UploadLock {
    const lock: Held = {
      id,
      fence,
      letGo,
      goodUntil: asked + this.times.holdMs,
      release: async () => {
        if (this.held.get(id) === lock) this.held.delete(id);
        await releaseLock(this.deps.db, lock);
      },
    };
    this.held.set(id, lock);
    return lock;
  }

  /** One statement for all of them. */
  private async beat(): Promise<void> {
    const held = [...this.held.values()];
    if (held.length === 0) return;
    const asked = performance.now();
    try {
      const rows = await holdLocks(this.deps.db, held, this.times.holdMs);
      const wanted = new Map(rows.map(({ id, isWanted }) => [id, isWanted]));
      for (const lock of held) {
        const isWanted = wanted.get(lock.id);
        if (isWanted === undefined) this.lose(lock);
        else lock.goodUntil = asked + this.times.holdMs;
        if (isWanted === true) lock.letGo();
      }
    } catch (err) {
      // The database may be away for a moment; a lock stands until its time has passed.
      this.deps.logger.debug({ err }, 'locks on uploads could not be held on');
      for (const lock of held)
        if (performance.now() + this.times.heartbeatMs > lock.goodUntil) this.lose(lock);
    }
  }

  private lose(lock: Held): void {
    // It may have been let go while the heartbeat was on its way.
    if (this.held.get(lock.id) !== lock) return;
    this.held.delete(lock.id);
    lock.letGo();
  }
}

/** Another request has the lock, and did not let go in time. */
export class LockTimeoutError extends ParleyError {
  constructor() {
    super('UNAVAILABLE', 'Another request for this upload is still in progress: try again later.');
  }
}

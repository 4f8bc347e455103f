import type { Socket } from 'node:net';
import { handleOf, unacknowledgedOf } from './unacknowledged.js';

/** How long readers are waited for. Tests change it, before anything is watched. */
export const patience = {
  /** Milliseconds between two looks. */
  lookMs: 5000,
  /** Bytes that a reader has to take to be going on, where so many wait: one at a time would keep all of them for days. */
  step: 16 * 1024,
  /** Bytes a second of the slowest reader that is still waited for. */
  slowest: 8 * 1024,
  /** Milliseconds between two pings of a socket or an event stream. */
  pingMs: 12_000,
};

/** Where the system does not tell what the peer has acknowledged, a large buffer of its own moves seldom: a stall takes so many times as long. */
const BLIND = 10;

/** The owner of a connection, which decides what becomes of it. */
export interface Watching {
  /**
   * Called at each look at which the peer has not gone on taking. `ms`: for how long it has not; `waiting`: whether something
   * that it was sent is not acknowledged.
   */
  readerStalled(ms: number, waiting: boolean): void;
}

/**
 * Looks every few seconds whether a connection's peer takes what it is sent, by what it has acknowledged: neither Node's queue nor
 * ours moves for minutes where a slow reader empties the system's buffer of megabytes first. The owner decides what follows.
 */
export class ReaderWatch {
  /** What the system had taken at the last look, and whether more waited for it. */
  private taken = 0;
  private wasFull = false;
  /** What the peer had acknowledged when it moved last; undefined before the first look. */
  private acknowledged: number | undefined;

  /** `movedAt`: when the peer took something last, by `performance.now()`. */
  constructor(
    private readonly connection: Socket | null,
    private readonly owner: Watching,
    private movedAt = performance.now(),
  ) {
    watches.add(this);
    looking ??= setInterval(() => void look(), patience.lookMs).unref();
  }

  stop(): void {
    watches.delete(this);
    if (watches.size > 0) return;
    clearInterval(looking);
    looking = undefined;
  }

  /** Looks at what Node knows. Answers how to go on with what the system knows of the connection, where that has to be asked. */
  look(): Question | undefined {
    const { connection } = this;
    const handle = connection === null ? undefined : handleOf(connection);
    if (connection === null || handle === undefined) {
      this.conclude(0, 1, 1);
      return undefined;
    }
    // Before the system is asked: what is acknowledged is then never overrated.
    const taken = handle.bytesWritten - handle.writeQueueSize;
    const queued = handle.writeQueueSize;
    const isFull = queued > 0;
    const hasMoved = this.wasFull && isFull && taken > this.taken;
    this.taken = taken;
    this.wasFull = isFull;
    if (hasMoved) {
      this.movedAt = performance.now();
      return undefined;
    }
    return {
      connection,
      answer: (unacknowledged) => {
        if (!watches.has(this)) return;
        if (unacknowledged === undefined) this.conclude(taken, queued, BLIND);
        else this.conclude(taken - unacknowledged, queued + unacknowledged, 1);
      },
    };
  }

  private conclude(acknowledged: number, waiting: number, factor: number): void {
    const since = acknowledged - (this.acknowledged ?? acknowledged);
    if (since >= patience.step || (since > 0 && waiting < patience.step)) {
      this.acknowledged = acknowledged;
      this.movedAt = performance.now();
    } else {
      this.acknowledged ??= acknowledged;
      this.owner.readerStalled((performance.now() - this.movedAt) / factor, waiting > 0);
    }
  }
}

interface Question {
  readonly connection: Socket;
  readonly answer: (unacknowledged: number | undefined) => void;
}

const watches = new Set<ReaderWatch>();
let looking: NodeJS.Timeout | undefined;
let isLooking = false;

/** At all that are watched, by one reading of the system's tables; not at all where Node knows enough. */
async function look(): Promise<void> {
  if (isLooking) return;
  isLooking = true;
  try {
    const questions = [...watches].flatMap((watch) => watch.look() ?? []);
    if (questions.length === 0) return;
    const unacknowledged = await unacknowledgedOf(questions.map(({ connection }) => connection));
    for (const { connection, answer } of questions) answer(unacknowledged.get(connection));
  } finally {
    isLooking = false;
  }
}

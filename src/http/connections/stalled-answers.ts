import type { Socket } from 'node:net';
import { limits } from '../../graphql/limits.js';
import { unacknowledgedOf } from '../../network/unacknowledged.js';
import { counts } from '../../observability/counts.js';
import type { Exchange } from '../request-log.js';

const TIMES = {
  /** Milliseconds between looks. */
  lookMs: 5000,
  /** Milliseconds in which a client takes nothing. */
  stalledMs: limits.stalledMs as number,
  /** Bytes a second that a client has to take on average, once it has been waited for longer than twice that. */
  slowest: 4096,
};
/** Where the system does not say what a client has taken, it has this many times as long. */
const PATIENCE = 10;
interface Stalled {
  readonly since: number;
  /** How far it was when it was looked at, and when it had got there. */
  readonly seen: string;
  readonly movedAt: number;
}

/**
 * Resets the connections of clients that do not take their answers, so that the memory of these is freed. Event streams and downloads have limits of
 * their own. Looking at what is under way from time to time costs a request nothing.
 */
export class StalledAnswers implements Disposable {
  private stalled = new Map<Socket, Stalled>();
  private readonly timer: NodeJS.Timeout;
  private readonly times: typeof TIMES;
  private isLooking = false;

  constructor(
    private readonly exchanges: Iterable<Exchange>,
    times: Partial<typeof TIMES> = {},
  ) {
    this.times = { ...TIMES, ...times };
    this.timer = setInterval(() => void this.look(), this.times.lookMs);
    this.timer.unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    if (this.isLooking) return;
    const waiting = [...this.exchanges].filter(isWaiting);
    // Nothing is asked of the system for one that takes its answer at once.
    if (!waiting.some(({ req }) => this.stalled.has(req.socket))) {
      this.stalled = new Map(waiting.map(({ req }) => [req.socket, begun(req.socket)]));
      return;
    }
    this.isLooking = true;
    const unread = await unacknowledgedOf(waiting.map(({ req }) => req.socket));
    this.isLooking = false;
    const before = this.stalled;
    this.stalled = new Map();
    for (const exchange of waiting) {
      const { socket } = exchange.req;
      if (!isWaiting(exchange)) continue;
      const left = unread.get(socket);
      const now = lookAt(socket, before.get(socket), left);
      if (this.isOver(exchange, now, left !== undefined)) reset(socket);
      else this.stalled.set(socket, now);
    }
  }

  private isOver({ req, sentBefore }: Exchange, { since, movedAt }: Stalled, isKnown: boolean): boolean {
    const { stalledMs, slowest } = this.times;
    const now = performance.now();
    if (now - movedAt > stalledMs * (isKnown ? 1 : PATIENCE)) return true;
    const allowed = ((req.socket.bytesWritten - sentBefore) / slowest) * 1000;
    return now - since > stalledMs * 2 + allowed;
  }
}

/** Whether it is one to look after, and bytes of it have not left the process. */
const isWaiting = ({ req: { socket, url = '' }, parley }: Exchange): boolean =>
  socket.writableLength > 0 &&
  !socket.destroyed &&
  parley?.operation?.kind !== 'subscription' &&
  !url.startsWith('/files/');

const begun = (socket: Socket): Stalled => {
  const now = performance.now();
  return { since: now, seen: progressOf(socket, undefined), movedAt: now };
};

function lookAt(socket: Socket, before: Stalled | undefined, unread: number | undefined): Stalled {
  const now = performance.now();
  const seen = progressOf(socket, unread);
  if (before === undefined) return { since: now, seen, movedAt: now };
  return { since: before.since, seen, movedAt: seen === before.seen ? before.movedAt : now };
}

/** What of Node's own handle of a connection is used: bytes of the write under way that the system has not taken. */
interface Handle {
  readonly _handle?: { readonly writeQueueSize?: number } | null;
}

/** Changes with whatever the system takes, or the client. */
const progressOf = (socket: Socket, unread: number | undefined): string =>
  [socket.bytesWritten - socket.writableLength, (socket as Handle)._handle?.writeQueueSize, unread].join();

/** A connection that only ends keeps what was not read in the system's memory. */
function reset(socket: Socket): void {
  counts.cut.http_slow += 1;
  socket.resetAndDestroy();
}

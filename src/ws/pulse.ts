import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { limits } from '../graphql/limits.js';
import { patience, ReaderWatch, type Watching } from '../network/reader-watch.js';
import { counts } from '../observability/counts.js';
import type { Lane } from './lane.js';

/** Bytes that the slowest reader has read before the next beat. */
const BUSY_BYTES = 64 * 1024;

/**
 * Whether a socket's client is still there, and takes what it is sent. It is pinged at each beat. One that has nothing to read answers
 * before the next; behind much data a pong may come late, and what the client's system acknowledges decides.
 */
export class Pulse implements Watching {
  /** Whether it has answered the ping, or its answer cannot have been read. */
  answered = true;
  /** Where the first ping that is not answered stands in all that was written, and when it was sent. */
  private pingedBehind = 0;
  private pingedAt = 0;
  /** Bytes between that ping and the one before: those may be unread. */
  private unread = 0;
  /** While data waits for it, or a pong is late. */
  private reader: ReaderWatch | undefined;

  constructor(
    private readonly ws: WebSocket,
    private readonly connection: Socket,
    private readonly lane: Lane,
  ) {}

  beat(): void {
    const { isEmpty } = this.lane;
    // While it is not listened to, no answer is read.
    if (isEmpty && (this.answered || this.ws.isPaused)) {
      this.stop();
    } else if (isEmpty && this.reader === undefined && this.unread < BUSY_BYTES) {
      this.cut('ws_silent');
      return;
    } else {
      this.reader ??= new ReaderWatch(this.connection, this, this.answered ? undefined : this.pingedAt);
    }
    if (this.answered) {
      const { bytesWritten } = this.connection;
      this.unread = bytesWritten - this.pingedBehind;
      this.pingedBehind = bytesWritten;
      this.pingedAt = performance.now();
      this.answered = false;
    }
    this.ws.ping();
  }

  /** One that has acknowledged everything may have it in a buffer of its own, and read up to our ping. */
  readerStalled(ms: number, waiting: boolean): void {
    const reading = waiting ? 0 : (this.unread / patience.slowest) * 1000;
    if (ms > limits.stalledMs + reading) this.cut(this.lane.isEmpty ? 'ws_silent' : 'ws_slow');
  }

  /** Looks at its reader no more. */
  stop(): void {
    this.reader?.stop();
    this.reader = undefined;
  }

  /** By a reset: what it has not read would be kept for it otherwise, long after it is closed. */
  private cut(cause: 'ws_silent' | 'ws_slow'): void {
    counts.cut[cause] += 1;
    this.stop();
    this.connection.resetAndDestroy();
  }
}

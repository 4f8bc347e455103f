import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { isOutage } from '../db/outage.js';
import type { Context } from '../graphql/context.js';
import { rootCause, toClientErrors } from '../graphql/errors.js';
import { limits } from '../graphql/limits.js';
import { LiveEnd } from '../live/answers.js';
import type { LiveConnection } from '../live/connections.js';
import type { Following, LiveEvents } from '../live/live-events.js';
import { callAt } from '../live/long-timer.js';
import type { Answer, Batch, LiveSink } from '../live/sink.js';
import { patience, ReaderWatch, type Watching } from '../network/reader-watch.js';
import { counts } from '../observability/counts.js';
import type { Viewer } from '../viewer.js';

/**
 * The text of one event stream (graphql-sse's distinct connections mode): `next` for each answer, its `id` the event's cursor,
 * and `complete` at a final end. What expires or restarts is cut without `complete`, so that the client comes back.
 * Answers are taken only as fast as the client reads.
 * https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
 */
export class SseStream extends Readable implements LiveConnection, LiveSink, Watching {
  readonly viewer: Viewer | undefined;
  private readonly pinging: NodeJS.Timeout;
  private readonly stopExpiry: (() => void) | undefined;
  private readonly following: Following;
  /** Whether the response has taken what it was given, and since when it has not. */
  private wanted = false;
  /** Its end was said; nothing may follow. */
  private isOver = false;
  private fullSince = performance.now();
  private wake: (() => void) | undefined;
  /** While it takes nothing. */
  private reader: ReaderWatch | undefined;

  constructor(
    events: LiveEvents,
    private readonly res: ServerResponse,
    private readonly context: Context,
  ) {
    super({ highWaterMark: 16 * 1024 });
    this.viewer = context.viewer;
    this.stopExpiry = this.viewer && callAt(this.viewer.tokenEndsAt, () => this.expire());
    // A comment, so that proxies and clients see a quiet stream alive.
    this.pinging = setInterval(() => this.ping(), patience.pingMs);
    this.pinging.unref();
    // Some browsers show no open stream before its first bytes.
    this.push(':\n\n');
    counts.subscribers.sse += 1;
    this.following = events.attach(this);
  }

  get isReady(): boolean {
    return this.wanted || this.isOver || this.destroyed;
  }

  async ready(): Promise<void> {
    if (this.isReady) return;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
  }

  send(batch: Batch): void {
    this.give(batch.form('event stream', framesOf));
  }

  end(error?: unknown): void {
    if (this.destroyed || this.isOver) return;
    const causes = error instanceof LiveEnd ? error.errors : [error];
    // What is away comes back, and so is the client to: after `complete` it would not.
    if (causes.some((cause) => isOutage(rootCause(cause)))) {
      this.cut();
      return;
    }
    this.isOver = true;
    if (error !== undefined) {
      const errors = toClientErrors(causes, this.context.requestId, this.context.logger);
      this.push(framesOf([{ text: JSON.stringify({ errors }), cursor: undefined }]));
    }
    this.push('event: complete\ndata:\n\n');
    this.push(null);
    // From here on it waits for the client to read its end.
    this.wanted = false;
    this.fullSince = performance.now();
  }

  expire(): void {
    this.cut();
  }

  restart(): void {
    this.cut();
  }

  override _read(): void {
    this.wanted = true;
    this.wake?.();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    counts.subscribers.sse -= 1;
    clearInterval(this.pinging);
    this.reader?.stop();
    this.stopExpiry?.();
    this.following.stop();
    this.wake?.();
    callback(error);
  }

  private give(bytes: Buffer | string): void {
    if (this.destroyed || this.isOver) return;
    this.wanted = this.push(bytes);
    if (!this.wanted) this.fullSince = performance.now();
  }

  private ping(): void {
    // A client that has not taken what is there gets nothing on top of it.
    if (this.wanted) {
      this.reader?.stop();
      this.reader = undefined;
      this.give(':\n\n');
    } else this.reader ??= new ReaderWatch(this.res.socket ?? null, this, this.fullSince);
  }

  readerStalled(ms: number): void {
    if (this.wanted || ms <= limits.stalledMs) return;
    counts.cut.sse_slow += 1;
    // What it has not read would be kept for it otherwise, long after it is closed.
    this.res.socket?.resetAndDestroy();
    this.cut();
  }

  private cut(): void {
    this.res.destroy();
    this.destroy();
  }
}

function framesOf(answers: readonly Answer[]): Buffer {
  const frames = answers.map(
    ({ text, cursor }) => `${cursor === undefined ? '' : `id: ${cursor}\n`}event: next\ndata: ${text}\n\n`,
  );
  return Buffer.from(frames.join(''));
}

import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ExecutionResult } from 'graphql';
import { callAt } from '../live/long-timer.js';
import type { LiveConnection } from '../live/connections.js';
import { eventIdOf } from '../live/live-events.js';
import type { Viewer } from '../viewer.js';

/** A comment is sent this often, so that proxies and clients see a quiet stream alive. */
const PING_MS = 12_000;
/** A reader that takes nothing for this long while data waits is let go. */
const STALLED_MS = 30_000;

/**
 * The text of one event stream (graphql-sse's distinct connections mode): `next` for each answer, its `id` the event's cursor,
 * and `complete` at a final end. What expires or restarts is cut without `complete`, so that the client comes back.
 * Answers are taken from the source only as fast as the client reads.
 * https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
 */
export class SseStream extends Readable implements LiveConnection {
  private readonly source: AsyncIterator<ExecutionResult>;
  private readonly pinging: NodeJS.Timeout;
  private readonly stopExpiry: (() => void) | undefined;
  private reading = false;
  private lastRead = Date.now();

  constructor(
    source: AsyncIterable<ExecutionResult>,
    private readonly res: ServerResponse,
    readonly viewer: Viewer | undefined,
  ) {
    super({ encoding: 'utf8', highWaterMark: 16 * 1024 });
    this.source = source[Symbol.asyncIterator]();
    this.stopExpiry = viewer && callAt(viewer.tokenExpiresAt, () => this.expire());
    this.pinging = setInterval(() => this.ping(), PING_MS);
    this.pinging.unref();
    // Some browsers show no open stream before its first bytes.
    this.push(':\n\n');
  }

  expire(): void {
    this.cut();
  }

  restart(): void {
    this.cut();
  }

  override _read(): void {
    this.lastRead = Date.now();
    if (this.reading) return;
    this.reading = true;
    this.source.next().then(
      ({ done, value }) => {
        this.reading = false;
        if (this.destroyed) return;
        if (done === true) {
          this.push('event: complete\ndata:\n\n');
          this.push(null);
        } else {
          this.push(frame(value));
        }
      },
      (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
    );
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.pinging);
    this.stopExpiry?.();
    void this.source.return?.();
    callback(error);
  }

  private ping(): void {
    // While an answer is awaited, whoever reads has taken everything before.
    if (this.reading) this.push(':\n\n');
    else if (Date.now() - this.lastRead > STALLED_MS) this.cut();
  }

  private cut(): void {
    this.res.destroy();
    this.destroy();
  }
}

function frame(result: ExecutionResult): string {
  const id = eventIdOf(result);
  return `${id === undefined ? '' : `id: ${id}\n`}event: next\ndata: ${JSON.stringify(result)}\n\n`;
}

import type { Batch, LiveSink } from '../live/sink.js';
import type { Following, LiveEvents } from '../live/live-events.js';
import { counts } from '../observability/counts.js';
import type { Lane } from './lane.js';

interface Waiting {
  readonly resolve: (result: IteratorResult<never, undefined>) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * A subscription on a socket. Its answers go by the lane; what graphql-ws's core iterates over tells it of the end alone, in time and
 * with its error, so that `complete` and `error` come behind everything that was sent.
 */
export class SocketOperation implements LiveSink, AsyncIterableIterator<never> {
  private readonly jsonId: string;
  private readonly following: Following;
  private ended: { readonly error?: unknown } | undefined;
  /** The one who waits in `next`. */
  private waiting: Waiting | undefined;

  constructor(
    events: LiveEvents,
    private readonly lane: Lane,
    id: string,
  ) {
    this.jsonId = JSON.stringify(id).slice(1, -1);
    counts.subscribers.ws += 1;
    this.following = events.attach(this);
  }

  get isReady(): boolean {
    return this.lane.isReady;
  }

  ready(): Promise<void> {
    return this.lane.ready();
  }

  send(batch: Batch): void {
    if (this.ended === undefined) this.lane.sendBatch(batch, this.jsonId);
  }

  end(error?: unknown): void {
    if (this.ended !== undefined) return;
    this.ended = error === undefined ? {} : { error };
    counts.subscribers.ws -= 1;
    if (this.waiting !== undefined) this.settle(this.waiting);
  }

  next(): Promise<IteratorResult<never, undefined>> {
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      if (this.ended === undefined) this.waiting = waiting;
      else this.settle(waiting);
    });
  }

  private settle({ resolve, reject }: Waiting): void {
    const error = this.ended?.error;
    this.waiting = undefined;
    this.ended = {};
    if (error === undefined) resolve({ done: true, value: undefined });
    else reject(error instanceof Error ? error : new Error('a subscription failed', { cause: error }));
  }

  return(): Promise<IteratorResult<never, undefined>> {
    this.end();
    this.following.stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

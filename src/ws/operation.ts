import type { Batch, LiveSink } from '../live/sink.js';
import type { LiveEvents } from '../live/live-events.js';
import { counts } from '../observability/counts.js';
import type { Lane } from './lane.js';

/**
 * A subscription on a socket. Its answers go by the lane; what graphql-ws's core iterates over tells it of the end alone, in time and
 * with its error, so that `complete` and `error` come behind everything that was sent.
 */
export class SocketOperation implements LiveSink, AsyncIterableIterator<never> {
  private readonly jsonId: string;
  private readonly stop: () => void;
  private ended: { readonly error?: unknown } | undefined;
  private wake: (() => void) | undefined;

  constructor(
    events: LiveEvents,
    private readonly lane: Lane,
    id: string,
  ) {
    this.jsonId = JSON.stringify(id).slice(1, -1);
    counts.subscribers.ws += 1;
    this.stop = events.attach(this);
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
    this.wake?.();
  }

  async next(): Promise<IteratorResult<never, undefined>> {
    if (this.ended === undefined) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const error = this.ended?.error;
    this.ended = {};
    if (error === undefined) return { done: true, value: undefined };
    throw error instanceof Error ? error : new Error('a subscription failed', { cause: error });
  }

  return(): Promise<IteratorResult<never, undefined>> {
    this.end();
    this.stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

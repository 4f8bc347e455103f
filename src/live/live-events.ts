import type { ExecutionResult } from 'graphql';
import type { Context } from '../graphql/context.js';
import { counts } from '../observability/counts.js';
import { RoomWatch } from '../rooms/room-watch.js';
import { executeEvent, type LiveArgs } from './answers.js';
import { follow } from './groups.js';
import { shareAnswers } from './shared-answers.js';
import type { Batch, LiveSink } from './sink.js';

const begun = new WeakMap<Context, LiveEvents>();

/** The subscription that a request began, whatever was wrapped around it on its way to the transport. */
export const liveEventsOf = (context: Context): LiveEvents | undefined => begun.get(context);

/** A subscription that has begun. */
export interface Following {
  /** The client ends it. */
  stop(): void;
}

/**
 * The answers of one live subscription. Transports attach a sink, which is handed texts: what happens in a room is executed once
 * for all who select the same there (LiveGroup). Whoever iterates instead gets each event of the source executed for them alone,
 * with a context of its own, so that what it shows is read at or after the event. An event that cannot be executed ends the
 * subscription with its errors (LiveEnd), and so does an error of the source. `return` ends a pending `next` at once.
 */
export class LiveEvents implements AsyncIterableIterator<ExecutionResult> {
  private readonly source: AsyncIterator<unknown>;
  private over = false;

  constructor(
    source: AsyncIterable<unknown>,
    private readonly args: LiveArgs,
  ) {
    this.source = source[Symbol.asyncIterator]();
    begun.set(args.contextValue, this);
  }

  /** Hands everything to `sink` from here on. Answers how the client ends it. Nothing of this is needed any more where it is followed together with others. */
  attach(sink: LiveSink): Following {
    if (this.source instanceof RoomWatch) {
      try {
        return follow(this.source, this.args, sink);
      } catch (error) {
        this.source.close();
        sink.end(error);
        return { stop: () => undefined };
      }
    }
    const answer = shareAnswers(this.args);
    this.pour(sink, answer).then(
      () => sink.end(),
      (error: unknown) => sink.end(error),
    );
    return { stop: () => void this.return() };
  }

  /** What is no part of a log: each takes it at their own pace. */
  private async pour(sink: LiveSink, answer: (event: object) => Promise<Batch>): Promise<void> {
    for (;;) {
      while (!sink.isReady && !this.isOver()) await sink.ready();
      const event: IteratorResult<unknown> = await this.source.next();
      if (event.done === true || this.isOver()) return;
      const batch = await answer(event.value as object);
      if (this.isOver()) return;
      sink.send(batch);
      counts.deliveries += 1;
    }
  }

  async next(): Promise<IteratorResult<ExecutionResult, undefined>> {
    if (this.over) return { done: true, value: undefined };
    try {
      const event = await this.source.next();
      if (event.done === true || this.isOver()) return await this.return();
      const contextValue = this.args.contextValue.fresh();
      const result = await executeEvent({ ...this.args, contextValue }, event.value);
      return this.isOver() ? { done: true, value: undefined } : { done: false, value: result };
    } catch (error) {
      await this.return();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<ExecutionResult, undefined>> {
    this.over = true;
    await this.source.return?.();
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<ExecutionResult, undefined>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** `return` may have been called while something was awaited. */
  private isOver(): boolean {
    return this.over;
  }
}

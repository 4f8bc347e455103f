import { execute, type GraphQLError, type ExecutionArgs, type ExecutionResult } from 'graphql';
import { isOutage } from '../db/outage.js';
import type { RoomEventRow } from '../db/tables.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import type { Context } from '../graphql/context.js';
import { rootCause } from '../graphql/errors.js';

/** Where an answer carries the cursor of its event, beside what the client selected. */
const EVENT_ID = Symbol('event id');

/** The cursor to resume from after this answer; undefined where its event has no place in a log. */
export const eventIdOf = (result: ExecutionResult & { [EVENT_ID]?: string }): string | undefined =>
  result[EVENT_ID];

export type LiveArgs = Omit<ExecutionArgs, 'contextValue'> & { readonly contextValue: Context };

/**
 * The answers of one live subscription: each event of the source is executed with a context of its own, so that what it shows
 * is read at or after the event. An event that cannot be executed ends the subscription with its errors (LiveEnd), and so does
 * an error of the source; both are thrown once, then it is done. `return` ends a pending `next` at once.
 */
export class LiveEvents implements AsyncIterableIterator<ExecutionResult> {
  private readonly source: AsyncIterator<unknown>;
  private over = false;

  constructor(
    source: AsyncIterable<unknown>,
    private readonly args: LiveArgs,
  ) {
    this.source = source[Symbol.asyncIterator]();
  }

  async next(): Promise<IteratorResult<ExecutionResult, undefined>> {
    if (this.over) return { done: true, value: undefined };
    try {
      const event = await this.source.next();
      if (event.done === true || this.isOver()) return await this.return();
      const result = await execute({
        ...this.args,
        rootValue: event.value,
        contextValue: this.args.contextValue.fresh(),
      });
      if (result.errors !== undefined && (result.data == null || result.errors.some(isTransient)))
        throw new LiveEnd(result.errors);
      if (this.isOver()) return { done: true, value: undefined };
      const id = cursorOf(event.value);
      return { done: false, value: id === undefined ? result : Object.assign(result, { [EVENT_ID]: id }) };
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

  /** `return` may have been called while `next` was waiting. */
  private isOver(): boolean {
    return this.over;
  }
}

/** A null where a field may be one would say that nothing is there, and a client that resumes would never be told otherwise. */
const isTransient = (error: GraphQLError): boolean => isOutage(rootCause(error));

function cursorOf(event: unknown): string | undefined {
  const { room_id: roomId, seq, tag } = event as Partial<RoomEventRow>;
  return roomId === undefined || seq === undefined || tag === undefined
    ? undefined
    : encodeEventCursor({ roomId, seq, tag });
}

/** Why a subscription ended: the errors of the event that could not be executed. */
export class LiveEnd extends AggregateError {
  declare readonly errors: GraphQLError[];

  constructor(errors: readonly GraphQLError[]) {
    super(errors, 'an event could not be executed');
  }
}

import { execute, GraphQLError, type ExecutionArgs, type ExecutionResult } from 'graphql';
import { isOutage, isStatementTimeout } from '../db/outage.js';
import { encodeEventCursor } from '../events/event-cursor.js';
import { answerTooLarge, isTooLarge } from '../graphql/answer-text.js';
import type { Context } from '../graphql/context.js';
import { rootCause, toClientErrors } from '../graphql/errors.js';
import { counts } from '../observability/counts.js';
import type { Answer } from './sink.js';

export type LiveArgs = Omit<ExecutionArgs, 'contextValue'> & { readonly contextValue: Context };

/** Executes one event. Throws LiveEnd when it cannot be shown: it must not be passed over. */
export async function executeEvent(args: LiveArgs, event: unknown): Promise<ExecutionResult> {
  counts.executions += 1;
  const result = await args.contextValue.executions.track(execute({ ...args, rootValue: event }));
  if (result.errors !== undefined && (result.data == null || result.errors.some(isTransient)))
    throw new LiveEnd(result.errors);
  return result;
}

/** What is sent for an event to all who select the same, each by a document of their own: no error says where in one it lies. Throws LiveEnd. */
export async function answerTo(args: LiveArgs, event: unknown): Promise<Answer> {
  const { errors, ...result } = await executeEvent(args, event).catch((error: unknown) => {
    throw error instanceof LiveEnd ? new LiveEnd(error.errors.map(withoutLocation)) : error;
  });
  const { requestId, logger } = args.contextValue;
  const shown =
    errors === undefined
      ? result
      : { errors: toClientErrors(errors.map(withoutLocation), requestId, logger), ...result };
  const text = JSON.stringify(shown);
  if (isTooLarge(text))
    throw new LiveEnd([new GraphQLError('too large', { originalError: answerTooLarge() })]);
  return { text, cursor: cursorOf(event) };
}

const withoutLocation = (error: GraphQLError): GraphQLError =>
  new GraphQLError(error.message, {
    path: error.path ?? null,
    originalError: error.originalError ?? null,
    extensions: error.extensions,
  });

/** A null where a field may be one would say that nothing is there, and a client that resumes would never be told otherwise. */
function isTransient(error: GraphQLError): boolean {
  const cause = rootCause(error);
  return isOutage(cause) || isStatementTimeout(cause);
}

/** The cursor to resume from after an event; undefined where it has no place in a log. */
function cursorOf(event: unknown): string | undefined {
  const { room_id: roomId, seq, tag } = event as { room_id?: string; seq?: number; tag?: string };
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

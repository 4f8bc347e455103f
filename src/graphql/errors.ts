import { InputValidationError } from '@pothos/plugin-validation';
import { GraphQLError, type GraphQLErrorOptions } from 'graphql';
import { isOutage, isStatementTimeout } from '../db/outage.js';
import { ParleyError, type ErrorCode, type ErrorDetails } from '../errors.js';
import { counts } from '../observability/counts.js';
import type { Logger } from '../observability/logger.js';
import { beginning, shortened } from '../text.js';

/**
 * The one place where errors become what a client sees, for HTTP, multipart, SSE and WebSocket alike. Coded errors pass
 * with their code and details; what the GraphQL engine refuses gets its code; everything else is logged whole and masked.
 */
export function toClientErrors(
  errors: readonly unknown[],
  requestId: string,
  logger: Logger,
): GraphQLError[] {
  return errors.map((error) => toClientError(error, requestId, logger));
}

/** Characters of a message in which the engine says what is wrong with what it was given. */
const MAX_MESSAGE = 1000;

/** What was made for a client stays as it is: on a socket, errors come by here more than once. */
const made = new WeakSet<GraphQLError>();

function toClientError(error: unknown, requestId: string, logger: Logger): GraphQLError {
  if (error instanceof GraphQLError && made.has(error)) return error;
  const shown = mapped(error, requestId, logger);
  made.add(shown);
  counts.errors[shown.extensions['code'] as ErrorCode] += 1;
  return shown;
}

function mapped(error: unknown, requestId: string, logger: Logger): GraphQLError {
  const outer = error instanceof GraphQLError ? error : undefined;
  const cause = rootCause(error);

  if (cause instanceof ParleyError) return coded(outer, cause.code, cause.message, cause.details);
  if (cause instanceof InputValidationError) {
    const issue = cause.issues[0];
    const field =
      issue?.path?.map((part) => String(typeof part === 'object' ? part.key : part)).join('.') ?? '';
    return coded(outer, 'BAD_USER_INPUT', issue?.message ?? cause.message, { field });
  }
  const refusal = cause instanceof GraphQLError ? refusedByEngine(outer ?? cause) : undefined;
  if (refusal !== undefined) return refusal;
  if (isOutage(cause) && !isStatementTimeout(cause)) {
    logger.error({ err: cause, requestId, path: outer?.path }, 'unavailable');
    return coded(
      outer,
      'UNAVAILABLE',
      'Something that the server needs for this is not available: try again.',
      {},
      requestId,
    );
  }
  if (isStatementTimeout(cause)) {
    logger.error({ err: cause, requestId, path: outer?.path }, 'a statement took too long');
    return coded(
      outer,
      'UNAVAILABLE',
      'The database took too long for this and stopped: ask for less at once, such as a narrower filter, or try again later.',
      {},
      requestId,
    );
  }
  logger.error({ err: cause, requestId, path: outer?.path }, 'internal error');
  return coded(outer, 'INTERNAL_SERVER_ERROR', 'Something went wrong on the server.', {}, requestId);
}

/** GraphQL wraps what a resolver threw, sometimes more than once. */
export function rootCause(error: unknown): unknown {
  let cause = error;
  while (cause instanceof GraphQLError && cause.originalError != null) cause = cause.originalError;
  return cause;
}

function coded(
  outer: GraphQLError | undefined,
  code: ErrorCode,
  message: string,
  details: ErrorDetails,
  requestId?: string,
): GraphQLError {
  const extensions = { code, ...details, ...(requestId === undefined ? {} : { requestId }) };
  return new GraphQLError(message, { ...placeOf(outer), extensions });
}

/**
 * Syntax, validation, coercion of variables and arguments, and the HTTP layer's own refusals. Undefined for what the engine
 * found wrong with an answer: that is a defect of ours.
 */
function refusedByEngine(error: GraphQLError): GraphQLError | undefined {
  const field = variableOf(error.message) ?? argumentOf(error);
  if (error.path !== undefined && field === undefined) return undefined;
  const code = field === undefined ? engineCode(error) : 'BAD_USER_INPUT';
  const extensions = { code, ...(field === undefined ? {} : { field }) };
  return new GraphQLError(shortened(error.message, MAX_MESSAGE), { ...placeOf(error), extensions });
}

/**
 * The dotted path of what is wrong in the value of a variable, as graphql-js words it; validation words it otherwise. Longer than a message
 * may be it is left out, but for the variable's name.
 */
function variableOf(message: string): string | undefined {
  const [, name] =
    /^Variable "\$(\w+)" (?:got invalid value|of required type|of non-null type) /.exec(message) ?? [];
  if (name === undefined) return undefined;
  // Behind the value, which may hold anything.
  const at = message.lastIndexOf(` at "${name}`);
  const [, path = ''] =
    at < 0
      ? []
      : (/^((?:\.\w+|\[\d+\])+)"; /.exec(message.slice(at + name.length + 5, at + MAX_MESSAGE)) ?? []);
  return beginning(name, MAX_MESSAGE) + path.replaceAll(/\[(\d+)\]/g, '.$1');
}

/** An argument that only its values show to be wrong, such as an explicit null for one that has a default; validation has a code. */
const argumentOf = ({ extensions, message }: GraphQLError): string | undefined =>
  extensions['code'] === undefined ? /^Argument "(\w+)" /.exec(message)?.[1] : undefined;

/** Where in the document and in the answer the error lies. */
export const placeOf = (error: GraphQLError | undefined): GraphQLErrorOptions => ({
  nodes: error?.nodes ?? null,
  source: error?.source ?? null,
  positions: error?.positions ?? null,
  path: error?.path ?? null,
});

/** What graphql-js's own rule for lists within lists of the schema says (MaxIntrospectionDepthRule). */
const TOO_DEEP = 'Maximum introspection depth exceeded';

function engineCode(error: GraphQLError): ErrorCode {
  if (error.message === TOO_DEEP) return 'QUERY_TOO_COMPLEX';
  if (error.message.startsWith('Syntax Error')) return 'GRAPHQL_PARSE_FAILED';
  return error.extensions['code'] === 'GRAPHQL_VALIDATION_FAILED'
    ? 'GRAPHQL_VALIDATION_FAILED'
    : 'BAD_REQUEST';
}

import { GraphQLError, type ExecutionResult } from 'graphql';
import { mapAsyncIterator, type Plugin } from 'graphql-yoga';
import type { ErrorCode, ErrorDetails } from '../errors.js';
import { answerText } from '../graphql/answer-text.js';
import type { Context } from '../graphql/context.js';
import { placeOf, toClientErrors } from '../graphql/errors.js';
import type { TransportContext } from '../live/execution-plugin.js';
import { LiveEnd } from '../live/answers.js';

/** Maps and masks the errors of every answer that leaves over HTTP, streamed ones included, and gives it its status. */
export function useClientErrors(): Plugin<object, TransportContext> {
  return {
    onResultProcess: (hook) => {
      const { result, serverContext } = hook;
      const { parley } = serverContext;
      if (Symbol.asyncIterator in result) {
        const answers = result as AsyncIterable<ExecutionResult>;
        // Its status was sent with its first byte.
        hook.setResult(mapAsyncIterator(answers, (one) => map(one, parley, (error) => error)));
      } else if (!Array.isArray(result)) {
        const answer = toClientAnswer(result as ExecutionResult, parley);
        hook.setResult({ ...answer, stringify: answerText });
      }
    },
  };
}

/** What the client gets of an answer, whose errors say in `extensions.http` what its status is. */
export const toClientAnswer = (result: ExecutionResult, context: Context): ExecutionResult =>
  map(result, context, withStatus);

function map(result: ExecutionResult, { requestId, logger }: Context, shown: Shown): ExecutionResult {
  if (result.errors === undefined) return result;
  const causes = result.errors.flatMap((error) =>
    error.originalError instanceof LiveEnd ? error.originalError.errors : [error],
  );
  const errors = toClientErrors(causes, requestId, logger);
  return { ...result, errors: errors.map((error, i) => shown(error, causes[i])) };
}

type Shown = (error: GraphQLError, cause: GraphQLError | undefined) => GraphQLError;

/** What is said of a document or its variables: 200 where the client asked for application/json. */
const OF_THE_DOCUMENT: ReadonlySet<ErrorCode> = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_ONLY',
]);

const STATUS: Partial<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  PERSISTED_QUERY_NOT_FOUND: 404,
  RATE_LIMITED: 429,
  FILE_TOO_LARGE: 413,
  UNAVAILABLE: 503,
  INTERNAL_SERVER_ERROR: 500,
};

/**
 * A request that failed as a whole gets a status (GraphQL over HTTP spec, section 6.4); the error of a field, which has a path,
 * leaves it at 200. `spec: true` is yoga's mark for "200 where the client asked for application/json".
 */
function withStatus(error: GraphQLError, cause: GraphQLError | undefined): GraphQLError {
  if (error.path !== undefined) return error;
  const code = error.extensions['code'] as ErrorCode;
  const { retryAfter } = error.extensions as ErrorDetails;
  const headers = {
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
    // RFC 9110, section 15.5.2.
    ...(code === 'UNAUTHENTICATED' && { 'www-authenticate': 'Bearer' }),
  };
  const http = cause?.extensions.http ?? {
    status: STATUS[code] ?? 400,
    spec: OF_THE_DOCUMENT.has(code),
    // What is wrong with the operation, not with the request that brings it.
    ofOperation: true,
    ...(Object.keys(headers).length > 0 && { headers }),
  };
  return new GraphQLError(error.message, { ...placeOf(error), extensions: { ...error.extensions, http } });
}

import type { ExecutionResult } from 'graphql';
import { processRegularResult, type FetchAPI, type Plugin } from 'graphql-yoga';
import { answerText } from '../graphql/answer-text.js';
import type { TransportContext } from '../live/execution-plugin.js';
import { answerTypeFor, EVENT_STREAM } from './accept.js';

/** What an event stream says beside its events; anew for each, since a Response adds to what it is given. */
export const streamHeaders = (): Record<string, string> => ({
  'content-type': EVENT_STREAM,
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
});

/** Answers whatever is no subscription in the type that its client likes best. Yoga looks at no weights. */
export function useAnswerType(): Plugin<object, TransportContext> {
  return {
    onResultProcess(hook) {
      if (Symbol.asyncIterator in hook.result) return;
      // A client that takes none of them is told so in JSON.
      const type = answerTypeFor(hook.request.headers.get('accept') ?? undefined) ?? 'application/json';
      if (type === EVENT_STREAM) hook.setResultProcessor(oneEvent as typeof processRegularResult, type);
      else hook.setResultProcessor(processRegularResult, type);
    },
  };
}

/**
 * One answer as an event stream of its own. What is wrong with the operation comes by it too: a browser's EventSource tells nothing of an
 * answer with another status than 200. https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md#distinct-connections-mode
 */
function oneEvent(result: ExecutionResult, fetchAPI: FetchAPI): Response {
  const refused = (result.errors ?? []).some(
    ({ extensions: { http } }) => http !== undefined && !isOfOperation(http),
  );
  // The request itself is wrong: it has a status, as without a stream.
  if (refused) return processRegularResult(result, fetchAPI, 'application/json');
  const errors = result.errors?.map(
    ({ message, locations, path, extensions: { http: _http, ...extensions } }) => ({
      message,
      locations,
      path,
      extensions,
    }),
  );
  const text = answerText(errors === undefined ? result : { ...result, errors });
  return new fetchAPI.Response(`event: next\ndata: ${text}\n\nevent: complete\ndata:\n\n`, {
    headers: streamHeaders(),
  });
}

/** Whether it is of an operation that is wrong, as error-plugin.ts and yoga (`spec`) mark it, and not of its request. */
const isOfOperation = (http: { readonly spec?: boolean }): boolean =>
  http.spec === true || 'ofOperation' in http;

/** What a client is told that follows something and takes no stream. */
export const takesNoStream = (fetchAPI: FetchAPI): Response =>
  new fetchAPI.Response(
    JSON.stringify({
      errors: [
        {
          message: 'A subscription is answered by an event stream: allow text/event-stream in `Accept`.',
          extensions: { code: 'BAD_REQUEST' },
        },
      ],
    }),
    { status: 406, headers: { 'content-type': 'application/json; charset=utf-8' } },
  );

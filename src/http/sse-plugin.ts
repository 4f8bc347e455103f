import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ExecutionResult } from 'graphql';
import type { FetchAPI, Plugin } from 'graphql-yoga';
import type { LiveConnections } from '../live/connections.js';
import type { TransportContext } from '../live/execution-plugin.js';
import { liveEventsOf } from '../live/live-events.js';
import { observeOperation } from '../observability/operations.js';
import { EVENT_STREAM, takesEventStream } from './accept.js';
import { streamHeaders, takesNoStream } from './answer-type.js';
import { SseStream } from './sse-stream.js';

interface NodeContext extends TransportContext {
  readonly res: ServerResponse;
}

/** A GET that a browser's EventSource could have sent: it can set no header of its own. */
export const isEventSource = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.accept?.toLowerCase().includes(EVENT_STREAM) === true;

/** Milliseconds after which an EventSource connects again. */
const RETRY_MS = 2000;
/** Milliseconds for that to reach it. */
const TOLD_MS = 100;

const isUnavailable = (result: unknown): boolean =>
  (result as ExecutionResult).errors?.some(({ extensions }) => extensions['code'] === 'UNAVAILABLE') === true;

/**
 * Answers an event stream that cannot begin now. After `complete` its client would never come back. An EventSource gives up at any other
 * status than 200 as well, and connects again when its connection breaks; other clients try again after 503.
 */
function comeBack(res: ServerResponse, result: unknown, { Response }: Pick<FetchAPI, 'Response'>): Response {
  if (!isEventSource(res.req))
    return new Response(JSON.stringify(result), {
      status: 503,
      headers: { 'content-type': 'application/json', 'retry-after': String(RETRY_MS / 1000) },
    });
  const stream = new Readable({ read: () => undefined });
  stream.push(`retry: ${String(RETRY_MS)}\n\n`);
  res.once('close', () => stream.destroy());
  setTimeout(() => res.destroy(), TOLD_MS).unref();
  return new Response(stream as unknown as BodyInit, {
    headers: { 'content-type': EVENT_STREAM, 'cache-control': 'no-cache, no-transform' },
  });
}

/** Answers that keep coming leave as an event stream, whose `id` lines let a client resume. */
export function useSse(connections: LiveConnections): Plugin<object, TransportContext> {
  return {
    onResultProcess(hook) {
      const { parley, res } = hook.serverContext as unknown as NodeContext;
      const events = liveEventsOf(parley);
      if (events === undefined) {
        if (parley.operation?.kind === 'subscription' && isUnavailable(hook.result))
          hook.setResultProcessor((result, fetchApi) => comeBack(res, result, fetchApi), EVENT_STREAM);
        return;
      }
      if (!takesEventStream(hook.request.headers.get('accept') ?? undefined)) {
        // Nobody would ever end it.
        void events.return();
        hook.setResultProcessor((_result, fetchApi) => takesNoStream(fetchApi), 'application/json');
        return;
      }
      hook.setResultProcessor((_result, fetchApi) => {
        if (res.destroyed) {
          // Whoever asked has gone while it was begun, and no `close` will tell any more.
          void events.return();
          return new fetchApi.Response(null);
        }
        const stream = new SseStream(events, res, parley);
        connections.add(stream);
        if (parley.operation !== undefined)
          observeOperation(parley.operation, 'sse', performance.now() - parley.startedAt);
        stream.once('close', () => connections.delete(stream));
        res.once('close', () => stream.destroy());
        return new fetchApi.Response(stream as unknown as BodyInit, { headers: streamHeaders() });
      }, EVENT_STREAM);
    },
  };
}

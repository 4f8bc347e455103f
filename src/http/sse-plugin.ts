import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'graphql-yoga';
import type { LiveConnections } from '../live/connections.js';
import type { TransportContext } from '../live/execution-plugin.js';
import { liveEventsOf } from '../live/live-events.js';
import { observeOperation } from '../observability/operations.js';
import { takesEventStream } from './accept.js';
import { SseStream } from './sse-stream.js';

const MEDIA_TYPE = 'text/event-stream';

interface NodeContext extends TransportContext {
  readonly res: ServerResponse;
}

/** A GET that a browser's EventSource could have sent: it can set no header of its own. */
export const isEventSource = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.accept?.includes(MEDIA_TYPE) === true;

/** Answers that keep coming leave as an event stream, whose `id` lines let a client resume. */
export function useSse(connections: LiveConnections): Plugin<object, TransportContext> {
  return {
    onResultProcess(hook) {
      const { parley, res } = hook.serverContext as unknown as NodeContext;
      const events = liveEventsOf(parley);
      if (events === undefined) return;
      if (!takesEventStream(hook.request.headers.get('accept') ?? undefined)) {
        // Yoga answers 406, and nobody would ever end it.
        void events.return();
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
        return new fetchApi.Response(stream as unknown as BodyInit, {
          headers: {
            'content-type': MEDIA_TYPE,
            'cache-control': 'no-cache, no-transform',
            'x-accel-buffering': 'no',
          },
        });
      }, MEDIA_TYPE);
    },
  };
}

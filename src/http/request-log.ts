import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from '../graphql/context.js';
import type { Logger } from '../observability/logger.js';
import { httpRequests, observeOperation } from '../observability/operations.js';

/** One request and its answer. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  /** Of a GraphQL request, once its token is read. */
  parley: Context | undefined;
}

/** The address without its query string, which may hold a token or a signature. */
export const pathOf = (req: IncomingMessage): string => (req.url ?? '/').split('?', 1)[0] ?? '/';

const ROUTES = new Set(['/graphql', '/livez', '/readyz']);

/** What a path is counted as: one of a few, whatever clients ask for. */
export const routeOf = (path: string): string =>
  ROUTES.has(path) ? path : path.startsWith('/files/') ? '/files' : 'other';

/** Counts a request and logs one line of it, once it is over. Those of probes are logged at the level debug. */
export function reportWhenDone(logger: Logger, exchange: Exchange): void {
  const { req, res, requestId } = exchange;
  const begun = performance.now();
  // What was written before belongs to earlier requests of the connection.
  const written = req.socket.bytesWritten;
  res.once('close', () => {
    const ms = performance.now() - begun;
    const path = pathOf(req);
    const { operation, viewer } = exchange.parley ?? {};
    httpRequests.inc({ route: routeOf(path), status: res.statusCode });
    // An event stream is counted when it begins (sse-plugin.ts).
    if (operation !== undefined && operation.kind !== 'subscription') observeOperation(operation, 'http', ms);
    logger[path === '/livez' || path === '/readyz' ? 'debug' : 'info'](
      {
        requestId,
        method: req.method,
        path,
        operation: operation?.name,
        kind: operation?.kind,
        userId: viewer?.id,
        status: res.statusCode,
        ms: Math.round(ms * 1000) / 1000,
        bytes: req.socket.bytesWritten - written,
        aborted: !res.writableEnded,
      },
      'request',
    );
  });
}

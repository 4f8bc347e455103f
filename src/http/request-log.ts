import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from '../graphql/context.js';
import { logLine, type Logger } from '../observability/logger.js';
import { shortened } from '../text.js';
import { countRequest, observeOperation, type Operation } from '../observability/operations.js';

/** One request and its answer. */
export class Exchange {
  /** Of a GraphQL request, once its token is read. */
  parley: Context | undefined;
  /** `performance.now()` when it began. */
  readonly begun = performance.now();
  /** Bytes that the connection had sent before: those belong to earlier requests. */
  readonly sentBefore: number;
  /** In what is under way (under-way.ts). */
  place = 0;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    readonly requestId: string,
  ) {
    this.sentBefore = req.socket.bytesWritten;
  }

  /** Says the id in an answer that does not say it by itself: to set one header costs twice what it does to write it with the others. */
  showId(): void {
    if (!this.res.headersSent) this.res.setHeader('x-request-id', this.requestId);
  }
}

/** The address without its query string, which may hold a token or a signature. */
export function pathOf({ url = '/' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** UTF-16 units of a path that are logged. */
const MAX_PATH = 256;

const ROUTES = new Set(['/graphql', '/livez', '/readyz']);

/** What a path is counted as: one of a few, whatever clients ask for. */
export const routeOf = (path: string): string =>
  ROUTES.has(path) ? path : (['/files', '/uploads'].find((route) => path.startsWith(`${route}/`)) ?? 'other');

/** A path as it is logged. People call their files by names that are nobody else's business. */
const loggedPath = (path: string): string =>
  shortened(path.replace(/^(\/files\/[^/]*\/).+/, '$1…'), MAX_PATH);

/** Counts a request and logs one line of it, once it is over. Those of probes are logged at the level debug. */
export function report(logger: Logger, { req, res, requestId, parley, begun, sentBefore }: Exchange): void {
  const ms = performance.now() - begun;
  const path = pathOf(req);
  const operation = parley?.operation;
  countRequest(routeOf(path), res.statusCode);
  // An event stream is counted when it begins (sse-plugin.ts).
  if (operation !== undefined && operation.kind !== 'subscription') observeOperation(operation, 'http', ms);
  const userId = parley?.viewer?.id;
  logLine(
    logger,
    path === '/livez' || path === '/readyz' ? 'debug' : 'info',
    `,"requestId":${JSON.stringify(requestId)},"method":${JSON.stringify(req.method)},"path":${JSON.stringify(loggedPath(path))}` +
      (operation === undefined ? '' : `${named(operation)},"kind":"${operation.kind}"`) +
      (userId === undefined ? '' : `,"userId":${JSON.stringify(userId)}`) +
      `,"status":${String(res.statusCode)},"ms":${String(Math.round(ms * 1000) / 1000)}` +
      `,"bytes":${String(req.socket.bytesWritten - sentBefore)},"aborted":${String(!res.writableEnded)}`,
    'request',
  );
}

const named = ({ name }: Operation): string =>
  name === undefined ? '' : `,"operation":${JSON.stringify(name)}`;

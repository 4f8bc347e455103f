import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Authenticator } from '../accounts/authentication.js';
import { Context, type ContextParts } from '../graphql/context.js';
import type { Logger } from '../observability/logger.js';
import { tracing, type Tracing } from '../observability/tracing.js';
import type { Authentication } from '../viewer.js';
import { limitBodyTime } from './body-time.js';
import { hasWaiting, inTurn } from './connections/in-turn.js';
import { OpenConnections } from './connections/open-connections.js';
import { StalledAnswers } from './connections/stalled-answers.js';
import { asksForWebSocket, ignoreUpgrade, refuseUpgrade } from './connections/upgrades.js';
import { answerPreflight, type Cors } from './cors.js';
import { answerJson, errorBody, JSON_HEADERS } from './json-answer.js';
import type { Origins } from './origins.js';
import { settleTarget } from './target.js';
import type { GraphiQLPage } from './graphiql/page.js';
import { isEventSource } from './sse-plugin.js';
import { answerLive, Readiness, type Health } from './health.js';
import { cutLongHeaders } from './long-headers.js';
import { answerPlainJson, type PlainJsonDeps } from './plain-json.js';
import { Exchange, pathOf, report, routeOf } from './request-log.js';
import type { ResumableUploads } from './resumable-uploads.js';
import { UnderWay } from './under-way.js';

/** Milliseconds for the headers of a request to arrive. */
const HEADERS_MS = 30_000;
/** Longer than proxies keep idle connections, so that it is they who close them, and no request meets a closing one. */
const KEEP_ALIVE_MS = 75_000;

export interface HttpDeps extends PlainJsonDeps {
  readonly cors: Cors;
  readonly origins: Origins;
  /** Undefined where browsers are served none. */
  readonly graphiql: GraphiQLPage | undefined;
  /** Answers `/files/…`; false where the address is not its own. */
  readonly downloads: (req: IncomingMessage, res: ServerResponse) => boolean;
  readonly resumable: ResumableUploads;
  readonly upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly authenticator: Authenticator;
  readonly contextParts: (
    req: IncomingMessage,
    authentication: Authentication,
    requestId: string,
  ) => ContextParts;
  readonly requestIdOf: (req: IncomingMessage) => string;
  readonly health: Health;
  readonly isStopping: () => boolean;
  /** File descriptors that connections may take (connections/descriptors.ts). */
  readonly descriptors: number;
  readonly logger: Logger;
}

export interface HttpServer {
  readonly server: Server;
  /** What has not ended. */
  readonly exchanges: Iterable<Exchange>;
  readonly connections: OpenConnections;
}

/** The HTTP server: who answers what. */
export function createHttpServer(deps: HttpDeps): HttpServer {
  const readiness = new Readiness(deps.health, deps.logger);
  const exchanges = new UnderWay<Exchange>();
  const server = createServer(
    {
      headersTimeout: HEADERS_MS,
      requestTimeout: 0,
      keepAlive: true,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    },
    inTurn((req, res) => {
      cutLongHeaders(req);
      const wrongTarget = settleTarget(req);
      const exchange = new Exchange(req, res, deps.requestIdOf(req));
      exchanges.add(exchange);
      res.on('close', () => {
        exchanges.delete(exchange);
        report(deps.logger, exchange);
      });
      limitBodyTime(exchange);
      if (wrongTarget !== undefined) {
        exchange.showId();
        answerJson(res, 400, errorBody('BAD_REQUEST', wrongTarget), { connection: 'close' });
        return;
      }
      const answered =
        tracing === undefined
          ? answer(deps, readiness, exchange)
          : inSpan(tracing, exchange, () => answer(deps, readiness, exchange));
      answered.catch((err: unknown) => {
        deps.logger.error({ err, requestId: exchange.requestId }, 'request failed');
        if (res.headersSent) {
          res.destroy();
          return;
        }
        exchange.showId();
        answerJson(res, 500, { code: 'INTERNAL_SERVER_ERROR' });
      });
    }),
  );
  const connections = new OpenConnections(server, exchanges, deps.descriptors, deps.logger);
  const stalled = new StalledAnswers(exchanges);
  server.on('close', () => stalled[Symbol.dispose]());
  server.on('upgrade', (req, socket, head) => {
    if (!asksForWebSocket(req)) {
      void ignoreUpgrade(server, req, socket, head, answeredOn(req.socket, exchanges));
      return;
    }
    socket.on('error', () => socket.destroy());
    if (settleTarget(req) !== undefined) {
      refuseUpgrade(socket, '400 Bad Request');
      return;
    }
    if (pathOf(req) !== '/graphql') {
      refuseUpgrade(socket, '404 Not Found');
      return;
    }
    if (!deps.origins.admits(req)) {
      deps.origins.tellRefused(req);
      refuseUpgrade(socket, '403 Forbidden');
      return;
    }
    connections.becameWebSocket(req.socket);
    try {
      deps.upgrade(req, socket, head);
    } catch (err) {
      // Nothing above this would catch it: it would end the process.
      deps.logger.error({ err }, 'a WebSocket could not be opened');
      socket.destroy();
    }
  });
  return { server, exchanges, connections };
}

/** Resolves when all requests of a connection are answered, or it is gone. */
async function answeredOn(connection: Socket, exchanges: Iterable<Exchange>): Promise<void> {
  while (!connection.destroyed) {
    const earlier = [...exchanges].find(({ req }) => req.socket === connection);
    if (earlier === undefined && !hasWaiting(connection)) return;
    // One that waits begins in the turn of the event loop behind the answer before it.
    await (earlier === undefined ? nextTurn() : once(earlier.res, 'close').catch(() => undefined));
  }
}

async function answer(deps: HttpDeps, readiness: Readiness, exchange: Exchange): Promise<void> {
  const { req, res } = exchange;
  const path = pathOf(req);
  if (path === '/graphql') {
    await answerGraphQL(deps, exchange);
    return;
  }
  exchange.showId();
  if (path === '/livez') {
    answerLive(res);
  } else if (path === '/readyz') {
    await readiness.answer(res, deps.isStopping());
  } else if (path === '/') {
    answerRoot(deps, res);
  } else if (!deps.downloads(req, res) && !deps.resumable.handle(req, res)) {
    answerJson(res, 404, { code: 'NOT_FOUND' });
  }
}

/** GraphiQL, or where there is none what stands in its place. */
function answerRoot({ graphiql }: HttpDeps, res: ServerResponse): void {
  if (graphiql !== undefined) res.writeHead(307, { location: '/graphql' }).end();
  else res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(NO_PAGE);
}

const NO_PAGE = 'This is a Parley server. Its GraphQL API is at /graphql, by POST.\n';

async function answerGraphQL(deps: HttpDeps, exchange: Exchange): Promise<void> {
  const { req, res, requestId } = exchange;
  if (deps.graphiql?.wants(req) === true) {
    exchange.showId();
    await deps.graphiql.handle(req, res);
    return;
  }
  deps.cors(req, res);
  if (req.method === 'OPTIONS') {
    exchange.showId();
    answerPreflight(res);
    return;
  }
  if (!deps.origins.admits(req)) {
    exchange.showId();
    deps.origins.tellRefused(req);
    const message = 'Pages of this origin may not use the server: its operator can add it to CORS_ORIGINS.';
    answerJson(res, 403, { errors: [{ message, extensions: { code: 'BAD_REQUEST' } }] });
    return;
  }
  // Awaited in any case: meanwhile a body that came with its headers has arrived.
  const authentication = await authenticate(deps.authenticator, req);
  const parley = new Context(deps.contextParts(req, authentication, requestId));
  exchange.parley = parley;
  const refusal = parley.countOperation();
  if (refusal === undefined && (await answerPlainJson(deps, req, res, parley))) return;
  exchange.showId();
  for (const [name, value] of Object.entries(JSON_HEADERS)) res.setHeader(name, value);
  await deps.yoga(req, res, { parley, refusal });
}

/** A browser's EventSource can set no header, so it may bring its token in the address. */
function authenticate(
  authenticator: Authenticator,
  req: IncomingMessage,
): Authentication | Promise<Authentication> {
  if (req.headers.authorization === undefined && isEventSource(req)) {
    const token = new URL(req.url ?? '/', 'http://localhost').searchParams.get('token');
    if (token !== null) return authenticator.fromToken(token);
  }
  return authenticator.fromHeader(req.headers.authorization);
}

/** Answers in a span of the trace that the client names, or of one that begins here. */
const inSpan = (active: Tracing, { req, res }: Exchange, answering: () => Promise<void>): Promise<void> =>
  active.span(
    {
      name: `${req.method ?? ''} ${routeOf(pathOf(req))}`,
      kind: 'server',
      attributes: { 'http.request.method': req.method, 'http.route': routeOf(pathOf(req)) },
      parent: headerOf(req, 'traceparent'),
    },
    async (note) => {
      await answering();
      note({ 'http.response.status_code': res.statusCode });
    },
  );

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

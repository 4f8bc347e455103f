import type { GraphQLSchema } from 'graphql';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import proxyAddr from 'proxy-addr';
import { AccountsService } from './accounts/accounts.service.js';
import { Authenticator } from './accounts/authentication.js';
import { IdentityProvider } from './accounts/identity-provider.js';
import { Passwords } from './accounts/passwords.js';
import { deriveKey, Tokens } from './accounts/tokens.js';
import { bareAddress } from './addresses.js';
import type { Config } from './config/config.js';
import { readPersistedDocuments } from './config/persisted-documents.js';
import { readOrMakeSecret } from './config/secret.js';
import { acquireDataDirLock } from './db/embedded/data-dir-lock.js';
import { Clock } from './db/clock.js';
import { Housekeeping } from './db/housekeeping.js';
import { migrateToLatest } from './db/migrator.js';
import { openDatabase } from './db/open.js';
import { MemoryBus } from './events/bus-memory.js';
import { RoomFeeds } from './events/room-feeds.js';
import { createDownloads } from './files/downloads.js';
import { openFiles } from './files/open-files.js';
import type { ContextParts, Services } from './graphql/context.js';
import { Executions } from './graphql/executions.js';
import { limits } from './graphql/limits.js';
import { PageCursors } from './graphql/page-cursor.js';
import { PersistedDocuments } from './graphql/persisted-documents.js';
import { traceRootFields } from './graphql/traced-fields.js';
import { connectionLimits } from './http/connections/descriptors.js';
import { createCors } from './http/cors.js';
import { Departure } from './http/departure.js';
import { createGraphiQLPage } from './http/graphiql/page.js';
import { serveMetrics, type MetricsServer } from './http/metrics-server.js';
import { Origins } from './http/origins.js';
import { newRequestId, requestIds } from './http/request-id.js';
import { createResumableUploads } from './http/resumable-uploads.js';
import { createHttpServer } from './http/server.js';
import { Traffic } from './http/traffic.js';
import { createGraphQL } from './http/yoga.js';
import { JobRunner } from './jobs/job-runner.js';
import { LiveConnections } from './live/connections.js';
import { MessagesService } from './messages/messages.service.js';
import type { Logger } from './observability/logger.js';
import { createRegistry, type ProcessMetrics } from './observability/metrics.js';
import { startTracing, traced, tracing } from './observability/tracing.js';
import { RateLimits } from './rate-limits/rate-limits.js';
import { roomRemoval } from './rooms/room-removal.js';
import { RoomsService } from './rooms/rooms.service.js';
import { schema } from './schema.js';
import { TypingService } from './typing/typing.service.js';
import type { Authentication } from './viewer.js';
import { SocketServer } from './ws/server.js';

/**
 * A server that listens. It leaves by `retire`, `close` and its disposal, in this order: what is between them is up to the caller
 * (cluster/), and disposing alone does all three at once.
 */
export interface App extends AsyncDisposable {
  /** Where it listens, such as http://127.0.0.1:4000. */
  readonly url: string;
  /** Serves on, but each answer closes its connection. `isStopping`: nobody takes its place, and `/readyz` says 503. */
  retire(isStopping: boolean): void;
  /** Takes no new connections. */
  close(): void;
  /** Where its metrics are read; undefined where nobody asked for them. */
  readonly metricsUrl: string | undefined;
  /** What it has counted, and has, for who sums it with others'. */
  metrics(): Promise<ProcessMetrics>;
}

/** Milliseconds for requests under way to finish, and for clients to be let go, once no connections are taken. */
const DRAIN_MS = 30_000;
/** Milliseconds for what is still being executed then, for nobody who waits. */
const EXECUTION_MS = 5000;

/**
 * Puts the parts together and starts to listen: the only wiring there is. Disposing lets clients go, waits for what is under
 * way, 30 s at most, and closes the parts in the reverse order. `served`: what it answers, unless a bench has something of its own. Throws
 * StartError, and whatever keeps a part from starting.
 */
export async function createApp(config: Config, logger: Logger, served = schema): Promise<App> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await start(config, logger, served, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  config: Config,
  logger: Logger,
  served: GraphQLSchema,
  closers: (() => unknown)[],
  close: () => Promise<void>,
): Promise<App> {
  const { persistedDocuments } = config;
  const documents = new PersistedDocuments(
    await readPersistedDocuments(persistedDocuments),
    persistedDocuments.only,
  );

  // First, since the parts look whether it is on. It ends last, with what they still had to say.
  if (config.otlpEndpoint !== undefined) closers.push(await startTracing(config.otlpEndpoint, logger));

  // The embedded database bears one process; a Postgres server and a shared folder bear many.
  if (config.databaseUrl === undefined) {
    const lock = await acquireDataDirLock(config.dataDir);
    closers.push(() => lock[Symbol.asyncDispose]());
    // Whoever took the folder over believes this process dead: what it writes from now on would destroy theirs.
    lock.lost.addEventListener('abort', () => {
      throw new Error(`the lock of DATA_DIR ${config.dataDir} was lost to another process`);
    });
  }
  const secret = config.jwtSecret ?? (await readOrMakeSecret(config.dataDir));

  const database = await openDatabase(config, logger);
  closers.push(() => database.close());
  const { db, background } = database;
  await database.withoutLimits((unlimited) => migrateToLatest(unlimited));
  const clock = await Clock.start(db, logger);
  closers.push(() => clock.stop());

  const redis = await linkToRedis(config, logger);
  if (redis !== undefined) closers.push(redis.link.close);
  const bus = redis?.bus ?? new MemoryBus();
  closers.push(() => bus.close());

  const feeds = new RoomFeeds({ db, bus, logger, now: clock.now });
  closers.push(() => {
    feeds.close();
  });

  const housekeeping = new Housekeeping(background, clock, config.eventRetentionMs, logger);
  closers.push(() => housekeeping.stop());

  const tokens = new Tokens(secret, clock.now);
  const provider =
    config.identityProvider && new IdentityProvider(db, config.identityProvider, logger, clock.now);
  const authenticator = new Authenticator(tokens, provider, clock);
  const passwords = new Passwords();
  closers.push(() => passwords.close());

  let url = '';
  const accounts = new AccountsService({
    db,
    bus,
    tokens,
    passwords,
    addressKey: deriveKey(secret, 'known address'),
    redis: redis?.link.commands,
    config,
  });
  const wakeJobs = (): void => jobs.wake();
  const rooms = new RoomsService({ db, bus, feeds, wakeJobs });
  const publicUrl = (): string => config.publicUrl ?? url;
  const { files, uploadSessions, jobKinds, ...shared } = await openFiles(
    { config, db, background, clock, bus, logger, secret, publicUrl, wakeJobs },
    closers,
  );
  const origins = new Origins({ ...config, logger });
  const resumable = createResumableUploads({ ...shared.resumable, origins });
  closers.push(() => resumable.idle());
  const messages = new MessagesService({ db, bus, feeds });
  // Messages first: they name files.
  const emptying = [messages, files].map((slice) => slice.emptyRoom.bind(slice));
  const removal = roomRemoval({ db: background }, emptying);
  const jobs = new JobRunner({ db, logger }, [...jobKinds, removal]);
  closers.push(() => jobs.stop());
  const services = tracedEach({
    accounts,
    rooms,
    files,
    uploadSessions,
    messages,
    typing: new TypingService({ db, bus, feeds, now: clock.now }),
  });

  const rateLimits = new RateLimits(config.rates, redis?.link.commands);
  const executions = new Executions();
  const cursors = new PageCursors(deriveKey(secret, 'page cursor'));
  const isTrusted = proxyAddr.compile([...config.trustProxy]);
  // Some proxies append a port to the addresses that they pass on.
  const trust: typeof isTrusted = (address, hop) => isTrusted(bareAddress(address) ?? '', hop);
  const clientOf = (req: IncomingMessage): string => {
    // Whatever its type says, there is none once the connection was reset.
    const address: string | undefined = proxyAddr(req, trust);
    return bareAddress(address) ?? '';
  };
  const requestIdOf = requestIds(trust);
  const contextParts = (
    /** Or the address of a client whose request is gone. */
    req: IncomingMessage | string,
    authentication: Authentication,
    requestId = newRequestId(),
  ): ContextParts => ({
    authentication,
    services,
    cursors,
    executions,
    rateLimits,
    logger,
    requestId,
    introspection: config.introspection,
    startedAt: performance.now(),
    // A socket that comes back says in `after` where it stopped.
    lastEventId: typeof req === 'string' ? undefined : lastEventIdOf(req),
    addressOf: () => (typeof req === 'string' ? req : clientOf(req)),
  });

  const connectable = await connectionLimits(config, logger);
  const connections = new LiveConnections({
    bus,
    logger,
    liveSessions: (ids) => accounts.liveSessions(ids),
  });
  if (tracing !== undefined) traceRootFields(served);
  const yoga = createGraphQL(served, config, documents, connections);
  const sockets = new SocketServer({
    yoga,
    documents,
    authenticator,
    connections,
    logger,
    requestIdOf,
    clientOf,
    limits: {
      ...config.sockets,
      limit: connectable.sockets,
      // No larger a share where file descriptors allow fewer sockets.
      signedOut: Math.floor((config.sockets.signedOut * connectable.sockets) / config.sockets.limit),
    },
    contextParts,
  });

  let stopping = false;
  const http = createHttpServer({
    schema: served,
    yoga,
    documents,
    bodyLimit: limits.bodyBytes,
    origins,
    cors: createCors(origins),
    graphiql: config.graphiql ? createGraphiQLPage() : undefined,
    downloads: createDownloads(shared.downloads),
    resumable,
    upgrade: (req, socket, head) => {
      sockets.upgrade(req, socket, head);
    },
    authenticator,
    contextParts,
    requestIdOf,
    health: {
      needed: { database: () => database.ping() },
      degrading: {
        bus: () => bus.ping(),
        ...shared.health,
        ...(provider !== undefined && { identityProvider: () => provider.check() }),
      },
      optional: shared.optional,
    },
    isStopping: () => stopping,
    descriptors: connectable.descriptors,
    logger,
  });
  const { server } = http;
  const departure = new Departure(http);
  const traffic = new Traffic(server);
  let registry: Registry | undefined;
  // Some of what it looks at, the event loop and the collector of garbage, it watches from its making on.
  const registryOf = (): Registry =>
    (registry ??= createRegistry({
      sockets: () => sockets.size,
      rooms: () => feeds.size,
      traffic: () => traffic.total(),
      pool: () => database.pool(),
      clockOffMs: () => Math.abs(clock.aheadMs),
    }));
  const metrics = await startMetrics(config, logger, registryOf);
  if (metrics !== undefined) closers.push(() => metrics.close());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.port, config.host, resolve);
  });
  // A connection that could not be accepted; without a listener that would end the process.
  server.on('error', (err) => logger.debug({ err }, 'a connection was not accepted'));
  const { address, port, family } = server.address() as AddressInfo;
  url = `http://${family === 'IPv6' ? `[${address}]` : address}:${String(port)}`;

  jobs.start();
  closers.push(async () => {
    departure.retire();
    await Promise.all([departure.drained(DRAIN_MS), connections.letGo()]);
    await executions.idle(EXECUTION_MS);
  });
  return {
    url,
    metricsUrl: metrics?.url,
    metrics: () => registryOf().getMetricsAsJSON(),
    retire: (isStopping) => {
      stopping ||= isStopping;
      departure.retire();
    },
    close: () => departure.close(),
    [Symbol.asyncDispose]: close,
  };
}

/** Undefined where no Redis is configured: then its client, a tenth of all that a start loads, is not loaded. */
async function linkToRedis(config: Config, logger: Logger) {
  if (config.redisUrl === undefined && config.redisCluster === undefined) return undefined;
  const { linkToRedis: link } = await import('./events/redis.js');
  return link(config, logger);
}

/** Serves the metrics where the configuration says so. Throws StartError. */
async function startMetrics(
  { metrics: { port, host } }: Config,
  logger: Logger,
  registryOf: () => Registry,
): Promise<MetricsServer | undefined> {
  if (port === undefined) return undefined;
  const registry = registryOf();
  const read = async () => ({ type: registry.contentType, text: await registry.metrics() });
  return serveMetrics({ port, host, read, logger });
}

/** The services, each of whose calls is a span while tracing is on. */
function tracedEach(services: Services): Services {
  if (tracing === undefined) return services;
  const { accounts, rooms, files, uploadSessions, messages, typing } = services;
  return {
    accounts: traced('accounts', accounts, tracing),
    rooms: traced('rooms', rooms, tracing),
    files: traced('files', files, tracing),
    uploadSessions: traced('uploadSessions', uploadSessions, tracing),
    messages: traced('messages', messages, tracing),
    typing: traced('typing', typing, tracing),
  };
}

/** Sent by a browser's EventSource, and by other SSE clients, when they connect again. Empty: from the beginning. */
function lastEventIdOf({ headers }: IncomingMessage): string | undefined {
  const id = headers['last-event-id'];
  return typeof id === 'string' && id !== '' ? id : undefined;
}

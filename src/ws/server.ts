import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  getOperationAST,
  GraphQLError,
  OperationTypeNode,
  type ExecutionArgs,
  type ExecutionResult,
  type FormattedExecutionResult,
} from 'graphql';
import {
  handleProtocols,
  makeServer,
  type ConnectionInitMessage,
  type Server,
  type SubscribePayload,
} from 'graphql-ws';
import type { YogaServerInstance } from 'graphql-yoga';
import { WebSocketServer } from 'ws';
import type { Authenticator } from '../accounts/authentication.js';
import type { Config } from '../config/config.js';
import { forbidden, ParleyError, unauthenticated } from '../errors.js';
import { Context, type ContextParts } from '../graphql/context.js';
import { toClientErrors } from '../graphql/errors.js';
import { limits } from '../graphql/limits.js';
import type { PersistedDocuments } from '../graphql/persisted-documents.js';
import type { LiveConnections } from '../live/connections.js';
import type { Enveloped } from '../live/enveloped.js';
import type { TransportContext } from '../live/execution-plugin.js';
import { LiveEnd } from '../live/answers.js';
import { liveEventsOf } from '../live/live-events.js';
import { counts } from '../observability/counts.js';
import type { Logger } from '../observability/logger.js';
import type { Authentication } from '../viewer.js';
import { Guests } from './guests.js';
import { Heartbeats } from './heartbeats.js';
import { SocketLog } from './socket-log.js';
import { SocketOperation } from './operation.js';
import { SocketTurns } from './socket-turns.js';
import { LiveSocket, type SocketOrigin } from './socket.js';

/** Characters of a `traceparent`, which a socket keeps: version 00 has 55, later ones may add to it. */
const MAX_TRACEPARENT = 256;

/** Messages shorter than this are not worth compressing. */
const COMPRESSED_BYTES = 1024;

export interface SocketServerDeps {
  readonly yoga: YogaServerInstance<TransportContext, object>;
  readonly documents: PersistedDocuments;
  readonly authenticator: Authenticator;
  readonly connections: LiveConnections;
  readonly logger: Logger;
  readonly requestIdOf: (request: IncomingMessage) => string;
  /** The client's address, as seen through trusted proxies. */
  readonly clientOf: (request: IncomingMessage) => string;
  readonly limits: Config['sockets'];
  /** What a context needs beside who is asking, from which address. */
  readonly contextParts: (address: string, authentication: Authentication) => ContextParts;
}

/** graphql-transport-ws at `/graphql`, on graphql-ws's core. https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md */
export class SocketServer {
  private readonly server: WebSocketServer;
  private readonly core: Server<LiveSocket>;
  private readonly heartbeats = new Heartbeats();
  private readonly turns = new SocketTurns();
  private readonly guests: Guests;
  /** Sockets that were let in and are not gone. */
  private carried = 0;

  constructor(private readonly deps: SocketServerDeps) {
    this.guests = new Guests(deps.limits);
    this.server = new WebSocketServer({
      noServer: true,
      maxPayload: limits.frameBytes,
      handleProtocols: (protocols) => handleProtocols(protocols),
      // Without a context that outlives a message, or each socket would hold some hundred KiB.
      perMessageDeflate: deps.limits.compression && {
        threshold: COMPRESSED_BYTES,
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
      },
    });
    this.core = this.makeCore();
  }

  /** Sockets that are open now. */
  get size(): number {
    return this.server.clients.size;
  }

  /** Takes over an HTTP connection that asked for a WebSocket. */
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    // The server speaks no TLS, so what it hands over is a socket.
    if (!(connection instanceof Socket)) throw new Error('a WebSocket needs a connection of its own');
    // It was reset before its request was read.
    if (connection.remoteAddress === undefined) {
      connection.destroy();
      return;
    }
    this.server.handleUpgrade(request, connection, head, (ws) => {
      const { logger, connections, requestIdOf } = this.deps;
      const socket = new LiveSocket({
        ws,
        connection,
        heartbeats: this.heartbeats,
        turns: this.turns,
        origin: this.originOf(request),
        log: new SocketLog(logger, requestIdOf(request), connection),
        logger,
      });
      if (!this.guests.enter(socket, this.carried + 1)) {
        counts.socketsRefused += 1;
        socket.turnAway();
        return;
      }
      counts.socketsOpened += 1;
      this.carried += 1;
      connections.add(socket);
      socket.open(this.core, this.onGone);
    });
  }

  private readonly onGone = (socket: LiveSocket): void => {
    this.carried -= 1;
    this.guests.leave(socket);
    this.deps.connections.delete(socket);
  };

  private originOf(request: IncomingMessage): SocketOrigin {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
    return { address: this.deps.clientOf(request), token: searchParams.get('token') ?? undefined };
  }

  private makeCore(): Server<LiveSocket> {
    return makeServer<ConnectionInitMessage['payload'], LiveSocket>({
      // The sockets themselves look to it.
      connectionInitWaitTimeout: 0,
      execute: (args) => {
        const { execute, socket, id } = enveloped(args);
        return socket.isCompleted(id) ? {} : execute(args);
      },
      subscribe: async (args) => {
        const { subscribe, context, socket, id } = enveloped(args);
        if (socket.isCompleted(id)) return {};
        const result = await subscribe(args);
        const events = liveEventsOf(context);
        return events === undefined ? result : socket.operation(events, id);
      },

      onConnect: async (ctx) => {
        const { connectionParams, extra: socket } = ctx;
        socket.began();
        // The rest of it is asked for with each operation. The token need not lie about for as long as the socket is open.
        Object.assign(ctx, { connectionParams: { traceparent: traceparentOf(connectionParams) } });
        const authentication = await this.authenticate(connectionParams, socket.origin);
        if (authentication.kind === 'none') {
          if (!this.guests.stay(socket)) {
            counts.socketsRefused += 1;
            socket.giveWay();
          }
          return true;
        }
        if (authentication.kind === 'refused') {
          if (authentication.error.code !== 'UNAVAILABLE') return false;
          // Whether the token is good cannot be decided now. The client comes back with it.
          socket.giveWay();
          return true;
        }
        const { viewer } = authentication;
        this.guests.leave(socket);
        // Before the look whether the sign-in goes on: its end is heard of from here on.
        socket.authenticate(viewer);
        return this.deps.connections.isLive(viewer);
      },

      onSubscribe: async ({ extra, connectionParams }, id, payload) => {
        const context = this.context(
          extra,
          traceparentOf(payload.extensions) ?? traceparentOf(connectionParams),
        );
        const refusal = context.countOperation();
        if (refusal !== undefined) return toClientErrors([refusal], context.requestId, this.deps.logger);
        // Not by the core's `subscriptions`, which forget an operation when it is completed, while its work goes on. A subscription that
        // was completed in the same breath has settled one turn later.
        if (extra.underWay > limits.socketOperations) await nextTurn();
        if (extra.underWay > limits.socketOperations) {
          const message = `A socket carries ${String(limits.socketOperations)} operations at once.`;
          return toClientErrors(
            [new ParleyError('RATE_LIMITED', message, { retryAfter: 1 })],
            context.requestId,
            this.deps.logger,
          );
        }
        const { parse, validate, contextFactory, execute, subscribe, schema } = this.deps.yoga.getEnveloped({
          parley: context,
        }) as Enveloped;
        try {
          const document = parse(this.deps.documents.textOf(payload) ?? payload.query);
          const invalid = validate(schema, document);
          if (invalid.length > 0) return toClientErrors(invalid, context.requestId, this.deps.logger);
          return {
            schema,
            document,
            operationName: payload.operationName,
            variableValues: payload.variables,
            contextValue: await contextFactory(),
            rootValue: { execute, subscribe, context, socket: extra, id } satisfies Root,
          };
        } catch (error) {
          return toClientErrors([error], context.requestId, this.deps.logger);
        }
      },

      // A subscription that cannot begin is told why by `error`, like one that ends.
      onOperation: ({ extra }, _id, payload, args, result) => {
        extra.log.operated(enveloped(args).context);
        if (isRefusedSubscription(args, result)) return failing(result.errors ?? []);
        if (result instanceof SocketOperation) forget(payload, args);
        return undefined;
      },

      onNext: ({ extra }, _id, _payload, _args, { errors, ...rest }) => {
        if (errors === undefined) return undefined;
        const shown = toClientErrors(errors, this.context(extra).requestId, this.deps.logger);
        return { ...rest, errors: shown.map((error) => error.toJSON()) } as FormattedExecutionResult;
      },

      onError: ({ extra }, _id, _payload, errors) => {
        const causes = errors.flatMap((error) =>
          error instanceof GraphQLError && error.originalError instanceof LiveEnd
            ? error.originalError.errors
            : [error],
        );
        return toClientErrors(causes, this.context(extra).requestId, this.deps.logger).map((e) => e.toJSON());
      },
    });
  }

  /** From connectionParams, or from the `token` of the address for clients that can do no other. */
  private async authenticate(
    params: Readonly<Record<string, unknown>> | undefined,
    origin: SocketOrigin,
  ): Promise<Authentication> {
    const header = params?.['authorization'] ?? params?.['Authorization'];
    // What is no text is a bad token: taken for none, its nulls would look like rooms that are gone.
    if (header != null) return this.deps.authenticator.fromHeader(typeof header === 'string' ? header : '?');
    return origin.token === undefined ? { kind: 'none' } : this.deps.authenticator.fromToken(origin.token);
  }

  /** The token's user must be the one who is connected: what they subscribed to was checked for them. */
  private async renew(socket: LiveSocket, accessToken: string): Promise<Date> {
    const authentication = await this.deps.authenticator.fromToken(accessToken);
    if (authentication.kind === 'refused') throw authentication.error;
    if (authentication.kind === 'none' || !(await this.deps.connections.isLive(authentication.viewer))) {
      throw unauthenticated('The sign-in of this access token was ended: sign in again.');
    }
    const { viewer } = authentication;
    if (socket.viewer?.id !== viewer.id) {
      throw forbidden('A connection goes on with tokens of the user that it began with: open another one.');
    }
    socket.authenticate(viewer);
    // Its end may have been told between the look and this, when the socket did not yet belong to it.
    if (!(await this.deps.connections.isLive(viewer))) socket.expire();
    return new Date(viewer.tokenExpiresAt);
  }

  private context(socket: LiveSocket, traceparent?: string): Context {
    const { viewer } = socket;
    return new Context({
      ...this.deps.contextParts(
        socket.origin.address,
        viewer === undefined ? { kind: 'none' } : { kind: 'viewer', viewer },
      ),
      traceparent,
      socket: { renew: (accessToken) => this.renew(socket, accessToken) },
    });
  }
}

/** What an operation needs when it is executed. */
interface Root extends Pick<Enveloped, 'execute' | 'subscribe'> {
  readonly context: Context;
  readonly socket: LiveSocket;
  readonly id: string;
}

const enveloped = (args: ExecutionArgs) => args.rootValue as Root;

/**
 * Lets go of what a subscription needed to begin: graphql-ws's core keeps it for as long as the subscription lasts, which takes as much
 * memory as the subscription.
 */
function forget(payload: SubscribePayload, args: ExecutionArgs): void {
  Object.assign(payload, { query: '', variables: undefined, extensions: undefined });
  Object.assign(args, {
    document: undefined,
    rootValue: undefined,
    contextValue: undefined,
    variableValues: undefined,
  });
}

function isRefusedSubscription(args: ExecutionArgs, result: unknown): result is ExecutionResult {
  return (
    getOperationAST(args.document, args.operationName)?.operation === OperationTypeNode.SUBSCRIPTION &&
    result !== null &&
    typeof result === 'object' &&
    !(Symbol.asyncIterator in result)
  );
}

/** The `traceparent` that a client names, for one operation or for all of its socket. */
function traceparentOf(fields: Readonly<Record<string, unknown>> | null | undefined): string | undefined {
  const value = fields?.['traceparent'];
  return typeof value === 'string' && value.length <= MAX_TRACEPARENT ? value : undefined;
}

/** A subscription that fails at once. */
const failing = (errors: readonly GraphQLError[]): AsyncIterableIterator<ExecutionResult> => ({
  next: () => Promise.reject(new LiveEnd(errors)),
  [Symbol.asyncIterator]() {
    return this;
  },
});

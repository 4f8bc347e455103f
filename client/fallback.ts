import type { Client, SubscribePayload } from 'graphql-ws/client';
import { EventStream, type StreamSink } from './event-stream.js';
import type { Transport } from './resume.js';
import type { Session } from './session.js';

/** So many WebSockets in a row that could not be opened make it ask whether HTTP works. */
const FAILURES = 3;
/**
 * Milliseconds in which a WebSocket has to be open and acknowledged; where packets are dropped nothing else
 * tells.
 */
const OPEN_MS = 15_000;
/** Milliseconds for which new subscriptions take event streams, until a WebSocket is tried again. */
const STREAMS_MS = 300_000;
/** Milliseconds that the server has to answer when it is asked whether HTTP works. */
const PROBE_MS = 10_000;

/**
 * Codes with which graphql-ws itself closes a socket on which nothing is heard: acknowledgement timeout,
 * terminated.
 */
const SILENT_CODES = [4504, 4499];

/** One subscription, and what carries it now. */
interface Route {
  readonly payload: SubscribePayload;
  readonly sink: StreamSink;
  stop: () => void;
  stream: EventStream | undefined;
}

/**
 * A graphql-ws client whose subscriptions go over event streams where WebSockets are blocked: when they cannot
 * be opened several times in a row and HTTP works. Those under way move over; each begins anew, as after a lost
 * connection.
 */
export class Fallback implements Transport {
  readonly on: Client['on'];
  private readonly routes = new Set<Route>();
  private failures = 0;
  private isConnected = false;
  private isAsking = false;
  private streamsUntil = 0;
  private opening: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly client: Client,
    private readonly url: string,
    private readonly session: Session,
  ) {
    this.on = client.on.bind(client);
    client.on('connecting', () => this.watchOpening());
    client.on('connected', () => {
      this.endOpening();
      this.isConnected = true;
      this.failures = 0;
    });
    client.on('closed', (event) => {
      this.endOpening();
      const { code = 0 } = event as { readonly code?: number };
      const wasOpen = this.isConnected || (code >= 4000 && !SILENT_CODES.includes(code));
      this.isConnected = false;
      if (!wasOpen) this.failed(1);
    });
  }

  subscribe(payload: SubscribePayload, sink: StreamSink): () => void {
    const route: Route = { payload, sink, stop: () => undefined, stream: undefined };
    this.routes.add(route);
    if (Date.now() < this.streamsUntil) this.stream(route);
    else this.socket(route);
    return () => {
      this.routes.delete(route);
      route.stop();
    };
  }

  /** Breaks the connections, so that they are opened anew. */
  terminate(): void {
    if (this.isConnected) this.client.terminate();
    for (const { stream } of this.routes) stream?.restart();
  }

  dispose(): void | Promise<void> {
    this.endOpening();
    // The client itself ends those that go over its socket.
    for (const { stream, stop } of this.routes) if (stream !== undefined) stop();
    this.routes.clear();
    return this.client.dispose();
  }

  /** The network or the page has come back. */
  wake(): void {
    for (const { stream } of this.routes) stream?.wake();
  }

  private socket(route: Route): void {
    const { payload, sink } = route;
    // What the socket still says of a subscription that has moved to a stream counts no more.
    const stays = (): boolean => route.stream === undefined;
    route.stop = this.client.subscribe(payload, {
      next: (result) => {
        if (stays()) sink.next(result);
      },
      error: (problem) => {
        if (!stays()) return;
        this.routes.delete(route);
        sink.error(problem);
      },
      complete: () => {
        if (!stays()) return;
        this.routes.delete(route);
        sink.complete();
      },
    });
  }

  private stream(route: Route): void {
    const { payload, sink } = route;
    const stream = new EventStream(this.url, this.session, payload, {
      began: () => sink.began?.(),
      next: (result) => sink.next(result),
      error: (problem) => {
        this.routes.delete(route);
        sink.error(problem);
      },
      complete: () => {
        this.routes.delete(route);
        sink.complete();
      },
    });
    route.stream = stream;
    route.stop = () => {
      stream.stop();
      // Not from within the call that stops it, as with graphql-ws.
      void Promise.resolve().then(() => sink.complete());
    };
  }

  private watchOpening(): void {
    this.endOpening();
    this.opening = setTimeout(() => this.failed(FAILURES), OPEN_MS);
  }

  private endOpening(): void {
    clearTimeout(this.opening);
    this.opening = undefined;
  }

  private failed(times: number): void {
    this.failures += times;
    if (this.failures >= FAILURES && !this.isAsking) void this.fallBack();
  }

  private async fallBack(): Promise<void> {
    this.isAsking = true;
    const works = await this.httpWorks();
    this.isAsking = false;
    if (this.isConnected || this.routes.size === 0) return;
    if (!works) {
      if (this.opening !== undefined) this.watchOpening();
      return;
    }
    this.streamsUntil = Date.now() + STREAMS_MS;
    // The next one that is tried need not fail as often again.
    this.failures = FAILURES - 1;
    for (const route of this.routes) {
      if (route.stream !== undefined) continue;
      const { stop } = route;
      this.stream(route);
      stop();
    }
  }

  /**
   * Whether the server answers a POST, whatever it says. A proxy in its place answers with 5xx, or with no
   * JSON.
   */
  private async httpWorks(): Promise<boolean> {
    try {
      const response = await fetch(this.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"query":"{ __typename }"}',
        signal: AbortSignal.timeout(PROBE_MS),
      });
      return response.status < 500 && typeof (await response.json()) === 'object';
    } catch {
      return false;
    }
  }
}

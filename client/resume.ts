import type { Client, FormattedExecutionResult, Sink, SubscribePayload } from 'graphql-ws/client';
import { backoff } from './backoff.js';
import type { StreamSink } from './event-stream.js';

/** Events that a subscription missed for good: what the page shows is to be read again. The subscription itself goes on. */
export interface Gap {
  /**
   * Behind which event the subscription goes on: the server's log did not reach back to the last one that was delivered
   * (CURSOR_EXPIRED). Undefined when the connection was lost before there was any cursor to resume from.
   */
  readonly eventCursor: string | undefined;
}

/** As graphql-ws's, and told of gaps. Without `gap`, a subscription that cannot be resumed ends with `error`. */
export interface LiveSink<T = unknown> extends Sink<T> {
  gap?(gap: Gap): void;
}

/** A graphql-ws client whose subscriptions resume. */
export interface LiveClient extends Pick<Client, 'on' | 'terminate' | 'dispose'> {
  subscribe<Data = Record<string, unknown>, Extensions = unknown>(
    payload: SubscribePayload,
    sink: LiveSink<FormattedExecutionResult<Data, Extensions>>,
  ): () => void;
}

/** What carries subscriptions: a graphql-ws client, or what stands in for it and calls `began` of a sink. */
export interface Transport extends Pick<Client, 'on' | 'terminate' | 'dispose'> {
  subscribe(payload: SubscribePayload, sink: StreamSink): () => void;
}

/**
 * Makes a graphql-ws client resume. When it subscribes again after a lost connection, or after UNAVAILABLE, it sends the cursor
 * of the last event that was handed over as `$after`, and hands over nothing twice. For this a document that follows events
 * declares `$after` and selects `cursor`; one that does not ends with an Error that says so, instead of losing events later.
 *
 * Where `extensions.persistedQuery` names the document by its hash, that goes without the text, which follows when the server does
 * not know it.
 */
export function resuming(client: Transport): LiveClient {
  let connected = false;
  client.on('connected', () => {
    connected = true;
  });
  client.on('closed', () => {
    connected = false;
  });
  return {
    on: client.on.bind(client),
    terminate: client.terminate.bind(client),
    // That the connection which it was making failed is no news to the one who gives it up.
    dispose: () => Promise.resolve(client.dispose()).catch(() => undefined),
    subscribe(payload, sink) {
      if (
        FOLLOWS_EVENTS.test(payload.query) &&
        !(/\$after\b/.test(payload.query) && /\bcursor\b/.test(payload.query))
      ) {
        sink.error(new Error('To be resumed, the subscription has to select `cursor`, and to use `$after`.'));
        return () => undefined;
      }
      const subscription = new Subscription(client, payload, sink as LiveSink<Result>, connected);
      return () => subscription.stop();
    },
  };
}

type Result = FormattedExecutionResult<Record<string, unknown>, unknown>;

const FOLLOWS_EVENTS = /\b(roomEvents|messageAdded|fileAdded)\b/;

/** How many of the last cursors are kept, to know an event that comes again. */
const REMEMBERED = 1000;

/** What is looked at of an event. */
interface Event {
  readonly __typename?: unknown;
  readonly cursor?: unknown;
}

class Subscription {
  /** graphql-ws reads them anew each time it subscribes. */
  private readonly variables: Record<string, unknown>;
  private readonly delivered = new Set<string>();
  private last: string | undefined;
  private failures = 0;
  /** Whether the hash that came with the text goes without it. */
  private byHash: boolean;
  private unsubscribe: () => void = () => undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly stopListening: () => void;
  /** Whether it goes over a connection of its own, of whose beginnings it is told itself. */
  private isApart = false;

  /** `begun`: whether the client is connected, and so subscribes at once. */
  constructor(
    private readonly client: Transport,
    private readonly payload: SubscribePayload,
    private readonly sink: LiveSink<Result>,
    private begun: boolean,
  ) {
    this.variables = { ...payload.variables };
    this.byHash = payload.extensions?.['persistedQuery'] !== undefined;
    this.stopListening = client.on('connected', () => {
      if (!this.isApart) this.connected();
    });
    this.begin();
  }

  stop(): void {
    this.release();
    this.unsubscribe();
  }

  private release(): void {
    clearTimeout(this.timer);
    this.stopListening();
  }

  /** Whether a subscription that begins again misses nothing. With `last` alone nothing was shown yet that could be missed. */
  private get hasPlace(): boolean {
    return (
      this.variables['after'] != null ||
      this.variables['last'] != null ||
      !FOLLOWS_EVENTS.test(this.payload.query)
    );
  }

  /** A connection was opened, over which it begins, for the first time or again. */
  private connected(): void {
    if (this.begun && !this.hasPlace) this.tell({ eventCursor: undefined });
    this.begun = true;
  }

  private begin(): void {
    this.isApart = false;
    this.unsubscribe = this.client.subscribe(
      { ...this.payload, ...(this.byHash && { query: '' }), variables: this.variables },
      {
        began: () => {
          this.isApart = true;
          this.connected();
        },
        next: (result) => this.next(result),
        error: (problem) => this.error(problem),
        complete: () => {
          this.release();
          this.sink.complete();
        },
      },
    );
  }

  private next(result: Result): void {
    const [event] = Object.values((result.data ?? {}) as Record<string, Event | null>);
    const cursor = typeof event?.cursor === 'string' ? event.cursor : undefined;
    // A checkpoint has the cursor of the event before it, and is none itself.
    const isCheckpoint =
      event?.__typename === undefined ? cursor === this.last : event.__typename === 'Checkpoint';
    if (cursor !== undefined && !isCheckpoint && this.delivered.has(cursor)) return;
    this.hand(() => this.sink.next(result));
    this.failures = 0;
    if (cursor === undefined) return;
    this.resumeAfter(cursor);
    this.delivered.add(cursor);
    if (this.delivered.size > REMEMBERED) this.delivered.delete(this.delivered.values().next().value ?? '');
  }

  private resumeAfter(cursor: string): void {
    this.last = cursor;
    this.variables['after'] = cursor;
    // `last` was for the beginning; the two do not go together.
    delete this.variables['last'];
  }

  private error(problem: unknown): void {
    const [error] = Array.isArray(problem) ? (problem as Refusal[]) : [];
    const { code, eventCursor } = error?.extensions ?? {};
    if (code === 'PERSISTED_QUERY_NOT_FOUND' && this.byHash) {
      this.byHash = false;
      this.begin();
    } else if (code === 'UNAVAILABLE') {
      this.beginAgain();
      if (!this.hasPlace) this.tell({ eventCursor: undefined });
    } else if (code === 'CURSOR_EXPIRED' && typeof eventCursor === 'string' && this.sink.gap !== undefined) {
      this.resumeAfter(eventCursor);
      this.beginAgain();
      this.tell({ eventCursor });
    } else {
      this.release();
      this.sink.error(problem);
    }
  }

  private beginAgain(): void {
    this.timer = setTimeout(() => this.begin(), backoff(this.failures++));
  }

  private tell(gap: Gap): void {
    this.hand(() => this.sink.gap?.(gap));
  }

  /** A consumer that throws is told so, and goes without the rest. graphql-ws would close the socket, and end the others with it. */
  private hand(over: () => void): void {
    try {
      over();
    } catch (problem) {
      this.stop();
      this.sink.error(problem);
    }
  }
}

/** What is looked at of an error of the server. */
interface Refusal {
  readonly extensions?: { readonly code?: unknown; readonly eventCursor?: unknown };
}

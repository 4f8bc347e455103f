import DataLoader from 'dataloader';
import type { Config, RateKind } from '../config/config.js';
import { unauthenticated, type ParleyError } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import type { Operation } from '../observability/operations.js';
import type { RateLimits } from '../rate-limits/rate-limits.js';
import type { Authentication, Viewer } from '../viewer.js';
import type { Executions } from './executions.js';
import type { PageCursors } from './page-cursor.js';

/** What the slices offer to resolvers. Each slice adds its own service by declaration merging. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- filled by the slices
export interface Services {}

/** A WebSocket that outlives the requests that come over it. */
export interface RenewableSocket {
  /** Goes on with a fresh token of the same user; answers when that runs out. Throws UNAUTHENTICATED, FORBIDDEN. */
  renew(accessToken: string): Promise<Date>;
}

export interface ContextParts {
  readonly authentication: Authentication;
  readonly services: Services;
  readonly cursors: PageCursors;
  readonly executions: Executions;
  readonly rateLimits: RateLimits;
  readonly logger: Logger;
  readonly requestId: string;
  /** `performance.now()` when the request had arrived. */
  readonly startedAt: number;
  /** W3C `traceparent` of an operation on a socket; over HTTP it is a header, which the server has read. */
  readonly traceparent?: string | undefined;
  /** Where a client that comes back says it stopped: the event cursor of `Last-Event-ID` (SSE). */
  readonly lastEventId: string | undefined;
  /** The socket that the request came over; undefined over HTTP. */
  readonly socket?: RenewableSocket;
  /** The client's address, as seen through trusted proxies. */
  readonly addressOf: () => string;
  /** To whom the schema is shown. */
  readonly introspection: Config['introspection'];
}

/** What resolvers get: one for each request, and one for each event of a subscription. */
export class Context {
  private loaders: Map<object, unknown> | undefined;
  /** What is asked for, once it is known to be valid. */
  operation: Operation | undefined;

  constructor(protected readonly parts: ContextParts) {}

  /**
   * The loaders with what they remember, each under its declaration. Others when something was written. A WeakMap from the context to
   * each of them would do the same, and keep all of it until the next full garbage collection.
   */
  get cache(): Map<object, unknown> {
    return (this.loaders ??= new Map());
  }
  get services(): Services {
    return this.parts.services;
  }
  get cursors(): PageCursors {
    return this.parts.cursors;
  }
  get executions(): Executions {
    return this.parts.executions;
  }
  get logger(): Logger {
    return this.parts.logger;
  }
  get requestId(): string {
    return this.parts.requestId;
  }
  get startedAt(): number {
    return this.parts.startedAt;
  }
  get traceparent(): string | undefined {
    return this.parts.traceparent;
  }
  get address(): string {
    return this.parts.addressOf();
  }
  /** Counts the operation that is asked for, or answers why it is refused: RATE_LIMITED. */
  countOperation(): ParleyError | undefined {
    return this.refusal('operations', 1);
  }

  /** Counts what an operation is about to do, as often as it does it. Throws RATE_LIMITED. */
  count(kind: RateKind, times = 1): void {
    const refusal = this.refusal(kind, times);
    if (refusal !== undefined) throw refusal;
  }

  private refusal(kind: RateKind, times: number): ParleyError | undefined {
    const { rateLimits, addressOf } = this.parts;
    return rateLimits.refusal(kind, { userId: this.viewer?.id, address: addressOf() }, times);
  }

  /** Where a subscription begins: `Last-Event-ID` tells more than the variables that a client began with. */
  resumeAfter<Options extends { after?: string | null | undefined; last?: number | null | undefined }>(
    options: Options,
  ): Options {
    const { lastEventId } = this.parts;
    return lastEventId === undefined ? options : { ...options, after: lastEventId, last: null };
  }
  get socket(): RenewableSocket | undefined {
    return this.parts.socket;
  }
  get introspection(): Config['introspection'] {
    return this.parts.introspection;
  }
  get authentication(): Authentication {
    return this.parts.authentication;
  }

  get viewer(): Viewer | undefined {
    return this.parts.authentication.kind === 'viewer' ? this.parts.authentication.viewer : undefined;
  }

  /** The viewer. Throws UNAUTHENTICATED when signed out. */
  signedIn(): Viewer {
    const { authentication } = this.parts;
    if (authentication.kind === 'viewer') return authentication.viewer;
    throw authentication.kind === 'refused' ? authentication.error : unauthenticated();
  }

  /** Awaits a write and forgets what was loaded before it, so that the answer shows what is stored now. */
  async wrote<T>(write: Promise<T>): Promise<T> {
    const result = await write;
    this.loaders = undefined;
    return result;
  }

  /** The same viewer with nothing remembered: every event of a subscription is read afresh. */
  fresh(): Context {
    return new Context(this.parts);
  }

  /** The same for no one in particular. */
  shared(): Context {
    return new SharedContext(this.parts);
  }
}

/**
 * For an answer that is sent to several viewers alike. Reading the viewer throws, so that a field which needs the viewer and does
 * not say so (needs-viewer.ts) fails instead of showing one what is another's.
 */
class SharedContext extends Context {
  constructor({
    services,
    cursors,
    executions,
    rateLimits,
    logger,
    requestId,
    startedAt,
    introspection,
  }: ContextParts) {
    super({
      startedAt,
      services,
      cursors,
      executions,
      rateLimits,
      logger,
      requestId,
      introspection,
      authentication: { kind: 'none' },
      lastEventId: undefined,
      addressOf: () => '',
    });
  }

  override get authentication(): Authentication {
    return noViewer();
  }
  override get viewer(): Viewer | undefined {
    return noViewer();
  }
  override signedIn(): Viewer {
    return noViewer();
  }
  override fresh(): Context {
    return new SharedContext(this.parts);
  }
}

function noViewer(): never {
  throw new Error('a field that needs the viewer has to say so by `extensions: needsViewer`');
}

/**
 * Declares a batch loader: within one context, loads of one tick become one call of `load`. `load` answers a value for
 * each key, in the keys' order. After a mutation the context's cache is replaced and everything is loaded anew.
 */
export function defineLoader<Key, Value>(
  load: (keys: readonly Key[], ctx: Context) => Promise<readonly Value[]>,
): (ctx: Context) => DataLoader<Key, Value> {
  return (ctx) => {
    let loader = ctx.cache.get(load) as DataLoader<Key, Value> | undefined;
    if (loader === undefined) {
      loader = new DataLoader((keys) => load(keys, ctx));
      ctx.cache.set(load, loader);
    }
    return loader;
  };
}

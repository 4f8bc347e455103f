import type { Logger } from './logger.js';

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** What a span is called, and what it is beside its parent's child. */
export interface SpanOptions {
  readonly name: string;
  /** `server` and `consumer` begin what another process asked for; `producer` hands on. */
  readonly kind?: 'server' | 'producer' | 'consumer';
  readonly attributes?: Attributes;
  /** W3C `traceparent` of who asked; whatever runs now otherwise. https://www.w3.org/TR/trace-context/ */
  readonly parent?: string | undefined;
  /** `traceparent`s of others for whom this is done as well. */
  readonly links?: readonly (string | undefined)[];
}

/**
 * Spans of what the process does. There is none of this while tracing is off: whoever could make a span looks whether `tracing` is
 * defined, and that is all it costs.
 */
export interface Tracing {
  /** Runs `work` in a span that ends when it settles, failed when it fails or `isFailed` says so of its value; it may `note` more about itself. */
  span<T>(
    options: SpanOptions,
    work: (note: (attributes: Attributes) => void) => T,
    isFailed?: (value: Awaited<T>) => boolean,
  ): T;
  /** A span of what is over already. `startedAt`: `performance.now()` when it began. */
  past(options: SpanOptions, startedAt: number, error?: unknown): void;
  /** The `traceparent` of what runs now. */
  current(): string | undefined;
  /** Remembers for whom this process was woken to look for a room's event. */
  woken(roomId: string, seq: number, traceparent: string): void;
  /** The events of a room up to `seqs` were handed to so many subscribers, in the traces of those who posted them. */
  delivered(roomId: string, seqs: readonly number[], subscribers: number, startedAt: number): void;
}

/** Undefined while tracing is off. */
export let tracing: Tracing | undefined;

/**
 * Begins to send spans to the OpenTelemetry collector at `endpoint`, by OTLP over HTTP; loads what it takes for that. Answers how to send
 * the last of them.
 */
export async function startTracing(endpoint: string, logger: Logger): Promise<() => Promise<void>> {
  const { openTelemetry } = await import('./open-telemetry.js');
  const { tracer, stop } = openTelemetry(endpoint, logger);
  tracing = tracer;
  return async () => {
    if (tracing === tracer) tracing = undefined;
    await stop();
  };
}

/** The same object, each of whose methods runs in a span of its own. */
export function traced<T extends object>(name: string, object: T, { span }: Pick<Tracing, 'span'>): T {
  return new Proxy(object, {
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver);
      if (typeof value !== 'function' || typeof key === 'symbol') return value;
      return (...args: unknown[]): unknown =>
        span({ name: `${name}.${key}` }, () => Reflect.apply(value, target, args) as unknown);
    },
  });
}

import {
  context,
  diag,
  DiagLogLevel,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Link,
  type Span,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { Logger } from './logger.js';
import type { SpanOptions, Tracing } from './tracing.js';

const KINDS = { server: SpanKind.SERVER, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER };
/** Events whose traces are remembered until they are delivered. */
const MAX_WOKEN = 1000;
/** Milliseconds by which times of spans may be off the wall clock. */
const MAX_OFF_MS = 1000;

/** Tracing by OpenTelemetry. Loaded when it is wanted, and not before (tracing.ts). */
export function openTelemetry(
  endpoint: string,
  logger: Logger,
): { tracer: Tracing; stop: () => Promise<void> } {
  diag.setLogger(diagnosticsTo(logger), DiagLogLevel.WARN);
  const provider = new NodeTracerProvider({
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say more, and otherwise.
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'parley' }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }))],
  });
  provider.register();
  const stop = async (): Promise<void> => {
    await provider.shutdown().catch((err: unknown) => {
      logger.warn({ err }, 'the last traces could not be sent');
    });
    trace.disable();
    context.disable();
    propagation.disable();
  };
  return { tracer: new OpenTelemetryTracing(), stop };
}

class OpenTelemetryTracing implements Tracing {
  private readonly tracer = trace.getTracer('parley');
  private readonly wakers = new Map<string, Context>();
  private origin = performance.timeOrigin;

  // Handed on without its object.
  readonly span: Tracing['span'] = (options, work, isFailed = () => false) => {
    const parent = contextOf(options.parent);
    const { span, end: endNow } = this.start(options, parent);
    const end = (failed: boolean, error?: unknown): void => {
      if (failed) fail(span, error);
      endNow();
    };
    return context.with(trace.setSpan(parent, span), () => {
      try {
        const value = work((attributes) => span.setAttributes({ ...attributes }));
        if (value instanceof Promise) {
          value.then(
            (settled) => end(isFailed(settled as never)),
            (error: unknown) => end(true, error),
          );
        } else {
          end(isFailed(value as never));
        }
        return value;
      } catch (error) {
        end(true, error);
        throw error;
      }
    });
  };

  past(options: SpanOptions, startedAt: number, error?: unknown): void {
    const { span, end } = this.start(options, contextOf(options.parent), startedAt);
    if (error !== undefined) fail(span, error);
    end();
  }

  current(): string | undefined {
    const carrier: { traceparent?: string } = {};
    propagation.inject(context.active(), carrier);
    return carrier.traceparent;
  }

  woken(roomId: string, seq: number, traceparent: string): void {
    this.wakers.set(`${roomId} ${seq}`, contextOf(traceparent));
    const [oldest] = this.wakers.keys();
    if (this.wakers.size > MAX_WOKEN && oldest !== undefined) this.wakers.delete(oldest);
  }

  delivered(roomId: string, seqs: readonly number[], subscribers: number, startedAt: number): void {
    for (const seq of seqs) {
      const parent = this.wakers.get(`${roomId} ${seq}`);
      if (parent === undefined) continue;
      const attributes = { 'parley.room': roomId, 'parley.seq': seq, 'parley.subscribers': subscribers };
      this.start({ name: 'deliver', attributes }, parent, startedAt).end();
    }
  }

  /**
   * Starts a span, and says how to end it. Both by the monotonic clock: OpenTelemetry ends a span whose start it is given
   * by the wall clock, in whole milliseconds, which may be before its start.
   */
  private start(
    { name, kind, attributes = {}, links = [] }: SpanOptions,
    parent: Context,
    startedAt = performance.now(),
  ): { span: Span; end: () => void } {
    const origin = this.originFor(parent);
    const span = this.tracer.startSpan(
      name,
      {
        kind: kind === undefined ? SpanKind.INTERNAL : KINDS[kind],
        attributes: { ...attributes },
        links: links.flatMap(linkTo),
        startTime: origin + startedAt,
      },
      parent,
    );
    return { span, end: () => span.end(origin + performance.now()) };
  }

  /** When `performance.now()` was 0. Found anew between two traces, where the clock was set or the machine slept. */
  private originFor(parent: Context): number {
    if (trace.getSpan(parent)?.isRecording() !== true) {
      const origin = Date.now() - performance.now();
      if (Math.abs(origin - this.origin) > MAX_OFF_MS) this.origin = origin;
    }
    return this.origin;
  }
}

/** The context that a `traceparent` names: nobody's where it is none; what runs now without one. */
const contextOf = (traceparent: string | undefined): Context =>
  traceparent === undefined ? context.active() : propagation.extract(ROOT_CONTEXT, { traceparent });

function linkTo(traceparent: string | undefined): Link[] {
  const other = traceparent === undefined ? undefined : trace.getSpanContext(contextOf(traceparent));
  return other === undefined ? [] : [{ context: other }];
}

/** Says that it failed and by what kind of error; not its message, which may hold what a client sent. */
function fail(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR });
  if (error instanceof Error)
    span.setAttribute('error.type', 'code' in error ? String(error.code) : error.name);
}

function diagnosticsTo(logger: Logger) {
  const warn = (message: string): void => logger.warn({ reason: message }, 'tracing');
  const nothing = (): void => undefined;
  return { error: warn, warn, info: nothing, debug: nothing, verbose: nothing };
}

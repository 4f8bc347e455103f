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

  // Handed on without its object.
  readonly span: Tracing['span'] = (options, work, isFailed = () => false) => {
    const parent = contextOf(options.parent);
    const span = this.start(options, parent);
    const end = (failed: boolean, error?: unknown): void => {
      if (failed) fail(span, error);
      span.end();
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
    const span = this.start(options, contextOf(options.parent), startedAt);
    if (error !== undefined) fail(span, error);
    span.end();
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

  private start(
    { name, kind, attributes = {}, links = [] }: SpanOptions,
    parent: Context,
    startedAt?: number,
  ): Span {
    return this.tracer.startSpan(
      name,
      {
        kind: kind === undefined ? SpanKind.INTERNAL : KINDS[kind],
        attributes: { ...attributes },
        links: links.flatMap(linkTo),
        ...(startedAt === undefined ? {} : { startTime: performance.timeOrigin + startedAt }),
      },
      parent,
    );
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

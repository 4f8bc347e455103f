import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as OTLP/HTTP has it in JSON, as far as tests look at it. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  /** Nanoseconds since the epoch. */
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly links?: readonly { readonly traceId: string }[];
  readonly status: { readonly code?: number };
  /** `service.instance.id` of the process that made it. */
  readonly instance: string | undefined;
}

interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: CollectedSpan['attributes'] };
    readonly scopeSpans: readonly { readonly spans: readonly Omit<CollectedSpan, 'instance'>[] }[];
  }[];
}

/** An OpenTelemetry collector that keeps what it is sent. https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export class Collector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  /** Every body as it came. */
  text = '';

  private constructor(private readonly server: Server) {
    server.on('request', (req, res) => {
      void (async () => {
        let body = '';
        for await (const chunk of req.setEncoding('utf8')) body += chunk as string;
        if (req.method !== 'POST' || req.url !== '/v1/traces') {
          res.writeHead(404).end();
          return;
        }
        this.text += body;
        this.take(JSON.parse(body) as ExportRequest);
        res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      })();
    });
  }

  static async start(): Promise<Collector> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Collector(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  private take({ resourceSpans }: ExportRequest): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const instance = resource.attributes.find(({ key }) => key === 'service.instance.id')?.value[
        'stringValue'
      ];
      for (const { spans } of scopeSpans)
        this.spans.push(...spans.map((span) => ({ ...span, instance: instance as string | undefined })));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

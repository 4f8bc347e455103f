import { Counter, Histogram } from 'prom-client';

/** What a client asked for, as its document names it. */
export interface Operation {
  /** Undefined for one without a name. */
  readonly name: string | undefined;
  readonly kind: 'query' | 'mutation' | 'subscription';
}

export type Transport = 'http' | 'sse' | 'ws';

/** Names of operations that are told apart. A client can make up any number of them, and each would be a series for good. */
const MAX_NAMES = 100;
const MAX_NAME_LENGTH = 64;

const names = new Set<string>();

/** The name under which an operation is counted: its own for the first hundred names of the process, `other` from then on. */
function labelOf({ name }: Operation): string {
  if (name === undefined) return 'anonymous';
  if (names.has(name)) return name;
  if (names.size >= MAX_NAMES || name.length > MAX_NAME_LENGTH) return 'other';
  names.add(name);
  return name;
}

/** Of queries and mutations until their answer has left; of subscriptions until they have begun. */
export const operationSeconds = new Histogram({
  name: 'parley_operation_duration_seconds',
  help: 'Time that valid operations took: until the answer has left, of a subscription until it has begun.',
  labelNames: ['operation', 'kind', 'transport'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers: [],
});

export const httpRequests = new Counter({
  name: 'parley_http_requests_total',
  help: 'HTTP requests that were answered, by route and status.',
  labelNames: ['route', 'status'],
  registers: [],
});

/** Counts an operation that was executed. `ms`: milliseconds that it took. */
export function observeOperation(operation: Operation, transport: Transport, ms: number): void {
  operationSeconds.observe({ operation: labelOf(operation), kind: operation.kind, transport }, ms / 1000);
}

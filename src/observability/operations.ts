import { Counter } from 'prom-client';
import { Durations } from './durations.js';

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
export const operationSeconds = new Durations<Record<'operation' | 'kind' | 'transport', string>>(
  'parley_operation_duration_seconds',
  'Time that valid operations took: until the answer has left, of a subscription until it has begun.',
);

/** Counts an operation that was executed. `ms`: milliseconds that it took. */
export function observeOperation(operation: Operation, transport: Transport, ms: number): void {
  const { kind } = operation;
  const name = labelOf(operation);
  operationSeconds.observe(`${transport} ${kind} ${name}`, { operation: name, kind, transport }, ms / 1000);
}

/** By route, how many had each status. */
const requests = new Map<string, number[]>();

/** Counts a request that was answered, with the `route` that it is counted as. */
export function countRequest(route: string, status: number): void {
  let statuses = requests.get(route);
  if (statuses === undefined) {
    statuses = new Array<number>(600).fill(0);
    requests.set(route, statuses);
  }
  statuses[status] = (statuses[status] ?? 0) + 1;
}

export const httpRequests = new Counter({
  name: 'parley_http_requests_total',
  help: 'HTTP requests that were answered, by route and status.',
  labelNames: ['route', 'status'],
  registers: [],
  collect() {
    this.reset();
    for (const [route, statuses] of requests)
      statuses.forEach((count, status) => {
        if (count > 0) this.inc({ route, status }, count);
      });
  },
});

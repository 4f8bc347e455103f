import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { counts } from './counts.js';
import { httpRequests, operationSeconds } from './operations.js';

/** What the parts of an app know by themselves, asked when the metrics are scraped. */
export interface Figures {
  /** WebSockets that are open. */
  readonly sockets: () => number;
  /** Rooms with subscribers. */
  readonly rooms: () => number;
  /** Bytes that came in and went out by all connections. */
  readonly traffic: () => { readonly received: number; readonly sent: number };
  readonly pool: () => PoolFigures;
  /** Milliseconds by which the clocks of the process and of the database differ. */
  readonly clockOffMs: () => number;
}

/** Connections to the database, and who waits for one. */
export interface PoolFigures {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

/** Metrics as text, and its media type. */
export interface Metrics {
  readonly type: string;
  readonly text: string;
}

/** Metrics of one process, for another one to sum them. */
export type ProcessMetrics = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** A number, or one for each value of a label. */
type Values = number | Readonly<Record<string, number | undefined>>;

/** One metric: its name without the prefix, what it says, where it is read, and the label that tells its values apart. */
type Row = readonly [name: string, help: string, read: () => Values, label?: string];

const COUNTERS: readonly Row[] = [
  ['errors_total', 'Errors that clients were told, by code.', () => counts.errors, 'code'],
  ['executions_total', 'Events executed for subscribers, once for each group.', () => counts.executions],
  ['deliveries_total', 'Events handed to the connections of subscribers.', () => counts.deliveries],
  ['events_total', 'Events of rooms with subscribers here that were read.', () => counts.events],
  ['ring_misses_total', 'Reads of events that were no longer in memory.', () => counts.ringMisses],
  ['log_pages_total', 'Pages of the log read from the database for them.', () => counts.logPages],
  ['catch_ups_total', 'Subscribers that read on by themselves, by reason.', () => counts.catchUps, 'reason'],
  [
    'gaps_total',
    'Times that subscribers could not be given what comes next, by cause.',
    () => counts.gaps,
    'cause',
  ],
  ['bus_published_total', 'Messages handed to the bus.', () => counts.busPublished],
  ['bus_dropped_total', 'Messages that the bus dropped, by cause.', () => counts.busDropped, 'cause'],
  ['bus_reconnects_total', 'Times that the bus came back after it was away.', () => counts.busReconnects],
  ['wake_ups_missed_total', 'Events found by looking, since no wake-up came.', () => counts.wakeUpsMissed],
  ['sockets_opened_total', 'WebSockets taken.', () => counts.socketsOpened],
  ['sockets_refused_total', 'WebSockets refused at SOCKET_LIMIT.', () => counts.socketsRefused],
  [
    'connections_dropped_total',
    'Connections closed since file descriptors allow no more.',
    () => counts.connectionsDropped,
  ],
  ['connections_cut_total', 'Connections cut, by cause: not read, or silent.', () => counts.cut, 'cause'],
  ['uploads_started_total', 'Uploads that began.', () => counts.uploadsStarted],
  ['uploads_stored_total', 'Uploads that were stored and shown.', () => counts.uploadsStored],
  ['uploads_refused_total', 'Uploads that were refused, by code.', () => counts.uploadsRefused, 'code'],
  ['uploads_aborted_total', 'Uploads that broke off.', () => counts.uploadsAborted],
  ['uploads_failed_total', 'Uploads that the server could not finish.', () => counts.uploadsFailed],
  ['upload_bytes_total', 'Bytes of files that came in.', () => counts.uploadBytes],
  ['scans_total', 'Files that were scanned, by outcome.', () => counts.scans, 'outcome'],
  ['jobs_total', 'Jobs that this process was at, by outcome.', () => counts.jobs, 'outcome'],
  ['variants_total', 'Variants of pictures to be made, by outcome.', () => counts.variants, 'outcome'],
  ['log_lines_dropped_total', 'Log lines dropped since nobody took them.', () => counts.logLinesDropped],
];

const gauges = ({ sockets, rooms, pool }: Figures): readonly Row[] => [
  ['subscribers', 'Subscriptions that are open, by transport.', () => counts.subscribers, 'transport'],
  ['groups', 'Groups of subscribers that share executions.', () => counts.groups],
  ['rooms', 'Rooms with subscribers here.', rooms],
  ['sockets', 'WebSockets that are open.', sockets],
  ['checks_failing', 'Checks of /readyz that failed when last made.', () => counts.checksFailing, 'check'],
  [
    'database_connections',
    'Connections to the database, by state.',
    () => ({ busy: pool().total - pool().idle, idle: pool().idle }),
    'state',
  ],
  ['database_waiting', 'Statements and transactions that wait for a connection.', () => pool().waiting],
];

/**
 * The metrics of this process, in a registry that reads them when it is asked. With several processes they are summed, but for what
 * the library's own metrics say otherwise (the greatest lag, the average of quantiles).
 */
export function createRegistry(figures: Figures): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  registry.registerMetric(operationSeconds.asMetric());
  registry.registerMetric(httpRequests);
  const traffic: readonly Row[] = [
    ['received_bytes_total', 'Bytes that came in by all connections.', () => figures.traffic().received],
    ['sent_bytes_total', 'Bytes that went out by all connections.', () => figures.traffic().sent],
  ];
  for (const row of [...COUNTERS, ...traffic]) {
    new Counter({
      ...described(row),
      registers: [registry],
      collect() {
        this.reset();
        each(row, (labels, value) => this.inc(labels, value));
      },
    });
  }
  for (const row of gauges(figures)) {
    new Gauge({
      ...described(row),
      registers: [registry],
      collect() {
        each(row, (labels, value) => this.set(labels, value));
      },
    });
  }
  new Gauge({
    name: 'parley_clock_off_seconds',
    help: 'Seconds by which the clocks of a process and of the database differ; of several processes the most.',
    registers: [registry],
    aggregator: 'max',
    collect() {
      this.set(figures.clockOffMs() / 1000);
    },
  });
  return registry;
}

const described = ([name, help, , label]: Row) => ({
  name: `parley_${name}`,
  help,
  labelNames: label === undefined ? [] : [label],
});

function each([, , read, label]: Row, use: (labels: Record<string, string>, value: number) => void): void {
  const values = read();
  if (typeof values === 'number') use({}, values);
  else if (label !== undefined)
    for (const [name, value = 0] of Object.entries(values)) use({ [label]: name }, value);
}

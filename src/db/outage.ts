import { setTimeout as pause } from 'node:timers/promises';
import { SilenceError } from '../async/timeout.js';
import { ParleyError } from '../errors.js';

/** Milliseconds to wait before each further attempt: together, about what a restart of Postgres takes. */
const PAUSES_MS = [50, 200, 500, 1000, 2000];
/** Milliseconds after which no further attempt begins: who asked has waited long enough to be told. */
const ENOUGH_MS = 15_000;

/** Where a call to another program fails, whatever the reason: there are more reasons than anybody lists. */
const CALLS = /^(?:connect|getaddrinfo|query\w*|read|write|shutdown)$/;
/** Node's and OpenSSL's codes for the same, where no call is named: connections, TLS, certificates, descriptors that ran out. */
const CODES =
  /^(?:E(?:CONN\w+|PIPE|TIMEDOUT|AI_\w+|HOST\w+|NET\w+|NOTFOUND|PROTO|MFILE|NFILE|NOBUFS)|ERR_(?:TLS|SSL|SOCKET)_\w+|UND_ERR_\w+|UNABLE_TO_\w+)$/;
/**
 * Postgres's classes 08 (connection), 53 (resources), 57 (shutdown, cancelled) and 58 (system), a server that takes no writes, a
 * transaction that idled, and a lock that was not to be had in time.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const STATES = /^(?:(?:08|53|57|58)[0-9A-Z]{3}|25006|25P03|25P04|55P03)$/;
/** What has no code: pg, ioredis and its parser, and the AWS SDK say so in a name or at the start of a message. */
const NAMES = /^(?:MaxRetriesPerRequestError|ClusterAllFailedError|CredentialsProviderError|TimeoutError)$/;
const MESSAGES = [
  ...['Connection terminated', 'timeout e', 'Client has encountered a connection error', 'Client was closed'],
  ...['Cannot use a pool after', 'The server does not support SSL', 'There was an error establishing an SSL'],
  ...[
    'Connection is closed',
    'Command timed out',
    "Stream isn't writeable",
    'Socket timeout',
    'None of startup nodes',
  ],
  ...['Failed to refresh slots', 'Too many Cluster redirections', 'LOADING ', 'CLUSTERDOWN ', 'MASTERDOWN '],
  ...['READONLY ', 'TRYAGAIN ', 'NOREPLICAS ', 'MISCONF ', 'OOM ', 'BUSY '],
];

/**
 * Whether something that this needs does not answer, or does not do its work now: what fails in a call to it, what its client says of
 * a connection that was lost or not to be had, and what it says of itself.
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof ParleyError) return false;
  // Several addresses of one host that were tried.
  if (error instanceof AggregateError) return error.errors.some(isOutage);
  const {
    syscall = '',
    code = '',
    severity = '',
  } = error as { syscall?: unknown; code?: unknown; severity?: unknown };
  return (
    error instanceof SilenceError ||
    CALLS.test(String(syscall)) ||
    CODES.test(String(code)) ||
    // OpenSSL has dozens of these.
    String(code).includes('CERT') ||
    STATES.test(String(code)) ||
    // Postgres ends the connection, or does not begin it.
    /^(?:FATAL|PANIC)$/.test(String(severity)) ||
    NAMES.test(error.name) ||
    MESSAGES.some((start) => error.message.startsWith(start)) ||
    isOutage(error.cause)
  );
}

/** Whether Postgres ended a statement that took too long, and undid it. It would do the same again: this is no outage that passes. */
export const isStatementTimeout = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '57014';

/** Whether a further attempt may well pass: not where this one has waited for its whole time already. */
export const mayPass = (error: unknown): boolean =>
  isOutage(error) && !/^(?:55P03|57014)$/.test(String((error as { code?: unknown }).code));

/** How often an attempt may lose a race before that is taken for a defect. */
const RACES = 10;

/**
 * Whether Postgres undid a transaction for the sake of another, so that it may go well the next time: a deadlock, a serialization
 * failure, and a key that another call claimed first, whose outcome is there now. It is certain that nothing was written.
 */
function isLostRace(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  if (error.code === '23505') return 'constraint' in error && error.constraint === 'idempotency_keys_pkey';
  return error.code === '40001' || error.code === '40P01';
}

/**
 * Runs `attempt` again when the database went away under it, and at once when it lost a race. A commit whose answer was lost may
 * have happened, so `attempt` must find out what the one before it did, and not do it twice: it is told its number, from 0 on.
 */
export async function throughOutage<T>(attempt: (number: number) => Promise<T>): Promise<T> {
  const begun = performance.now();
  let races = 0;
  let outages = 0;
  for (;;) {
    try {
      return await attempt(races + outages);
    } catch (error) {
      if (isLostRace(error) && races < RACES) {
        races += 1;
        continue;
      }
      const ms = PAUSES_MS[outages];
      if (ms === undefined || !mayPass(error) || performance.now() - begun > ENOUGH_MS) throw error;
      outages += 1;
      await pause(ms);
    }
  }
}

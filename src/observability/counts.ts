import { ERROR_CODES, type ErrorCode } from '../errors.js';

/** A count for each name that there is, so that a scrape shows those that have not happened yet as well. */
const zeroes = <Name extends string>(names: readonly Name[]): Record<Name, number> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;

/**
 * What this process has counted since it started, and how many of some things it has now. Plain numbers, added to where things happen
 * and read when the metrics are scraped (metrics.ts): so counting costs an addition, whether anybody scrapes or not. Of the process and
 * not of an app, for there is one of each.
 */
export const counts = {
  /** Errors that were made for clients, over all transports. */
  errors: zeroes<ErrorCode>(ERROR_CODES),

  /** Subscriptions that are open now. */
  subscribers: zeroes(['ws', 'sse']),
  /** Groups of subscribers that select the same in a room, now. */
  groups: 0,
  /** Events that were executed for subscribers: once for a group. */
  executions: 0,
  /** Events that were handed to subscribers' connections. */
  deliveries: 0,

  /** Events that the feeds of this process have read. */
  events: 0,
  /** Reads of events that a feed's ring no longer held, and how many of them asked the database. */
  ringMisses: 0,
  logPages: 0,
  /** Subscribers that read on by themselves: who began behind the head, and whose connection did not take what it was given. */
  catchUps: zeroes(['begun_behind', 'slow']),
  /** Why subscriptions could not be given what comes next (CURSOR_EXPIRED). */
  gaps: zeroes(['cursor', 'trimmed', 'hole', 'lost_commits']),

  busPublished: 0,
  /** Messages to other processes that were dropped: too many on their way, or the carrier away. */
  busDropped: zeroes(['in_flight', 'failed']),
  busReconnects: 0,
  /** Events that nobody was woken for, found by looking. */
  wakeUpsMissed: 0,

  socketsOpened: 0,
  /** Sockets that were closed because the process carries as many as it may. */
  socketsRefused: 0,
  /** Connections that were closed since the process has as many as its file descriptors allow. */
  connectionsDropped: 0,
  /** Connections that were cut: what they were given was not taken, or a ping not answered. */
  cut: zeroes(['ws_slow', 'ws_silent', 'sse_slow', 'http_slow']),

  uploadsStarted: 0,
  uploadsStored: 0,
  uploadBytes: 0,
  /** Uploads that were refused, by the code that the client was told. */
  uploadsRefused: zeroes<ErrorCode>([
    'FORBIDDEN',
    'NOT_FOUND',
    'BAD_USER_INPUT',
    'CONFLICT',
    'FILE_TOO_LARGE',
    'FILE_TYPE_NOT_ALLOWED',
    'FILE_INFECTED',
    'QUOTA_EXCEEDED',
    'RATE_LIMITED',
  ]) as Partial<Record<ErrorCode, number>>,
  /** Uploads that broke off, and that the server could not finish. */
  uploadsAborted: 0,
  uploadsFailed: 0,

  /** Files that were scanned: by what the scanner said, or that it said nothing that counts. */
  scans: zeroes(['clean', 'infected', 'gave_up', 'failed']),

  /** Jobs that were begun: done, to be tried again, or given up. */
  jobs: zeroes(['done', 'failed', 'given_up']),

  /** Variants of pictures that were asked for and not there: made, not to be made of such a file, or refused since too many wait. */
  variants: zeroes(['made', 'failed', 'refused']),

  /** Checks of `/readyz` by name: 1 where the last one failed. */
  checksFailing: {} as Record<string, number>,

  /** Lines that were not logged because nobody took those before them. */
  logLinesDropped: 0,
};

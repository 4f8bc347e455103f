import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds to wait before each further attempt: together, about what a restart of Postgres takes. */
const PAUSES_MS = [50, 200, 500, 1000, 2000];

/**
 * Whether something that this needs does not answer: Node's connection errors, no file descriptor being left, what pg says of a connection that was lost or not
 * to be had, and Postgres's classes 08 (connection), 53 (resources) and 57P (shutdown).
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return (
    /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EMFILE|ENFILE)/.test(code) ||
    /^(08|53|57P)/.test(code) ||
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      error.message,
    )
  );
}

/** Whether Postgres ended a statement that took too long, and undid it. It would do the same again: this is no outage that passes. */
export const isStatementTimeout = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '57014';

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
      if (ms === undefined || !isOutage(error)) throw error;
      outages += 1;
      await pause(ms);
    }
  }
}

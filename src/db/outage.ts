import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds to wait before each further attempt: together, about what a restart of Postgres takes. */
const PAUSES_MS = [50, 200, 500, 1000, 2000];

/**
 * Whether something that this needs does not answer: Node's connection errors, what pg says of a connection that was lost or not
 * to be had, and Postgres's classes 08 (connection), 53 (resources) and 57P (shutdown).
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return (
    /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND)/.test(code) ||
    /^(08|53|57P)/.test(code) ||
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      error.message,
    )
  );
}

/**
 * Runs `attempt` again when the database went away under it. A commit whose answer was lost may have happened, so `attempt` must
 * find out what the one before it did, and not do it twice: it is told its number, from 0 on.
 */
export async function throughOutage<T>(attempt: (number: number) => Promise<T>): Promise<T> {
  for (let number = 0; ; number += 1) {
    try {
      return await attempt(number);
    } catch (error) {
      const ms = PAUSES_MS[number];
      if (ms === undefined || !isOutage(error)) throw error;
      await pause(ms);
    }
  }
}

import { setTimeout as pause } from 'node:timers/promises';

/** What did not happen in time, and what was seen instead. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** The promise's value, or a DeadlineError that names `what` when it takes longer than `ms`. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = pause(ms, undefined, { signal: timer.signal }).then(() => {
    throw new DeadlineError(`${what}: not within ${ms} ms`);
  });
  // When `promise` settles first, the race is over and the aborted timer's rejection is nobody's.
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

/**
 * Tries `probe` again and again until it neither throws nor answers undefined or false, and answers what it answered.
 * A DeadlineError after `ms` has the last failure as its cause.
 */
export async function eventually<T>(
  ms: number,
  what: string,
  probe: () => Promise<T> | T,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + ms;
  let cause: unknown;
  for (;;) {
    const left = deadline - performance.now();
    if (left <= 0) throw new DeadlineError(`${what}: not within ${ms} ms`, { cause });
    try {
      const seen = await within(left, what, Promise.resolve(probe()));
      if (seen !== undefined && seen !== false) return seen as Exclude<T, undefined | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await pause(Math.min(20, left));
  }
}

/** Milliseconds before a process is started again for the first time in a row, and at most. */
const [FIRST_MS, MOST_MS] = [200, 30_000];

/** A process that lives for so many milliseconds has started well: the next one to follow it counts from the beginning. */
export const STEADY_MS = 60_000;

/**
 * Milliseconds to wait before a process is started in the place of one that ended. `attempt`: how many in a row have ended before
 * their time, from 0 on. Doubles up to half a minute, and is random by half, so that processes that fell together do not
 * start together.
 */
export const restartDelay = (attempt: number, random = Math.random()): number =>
  Math.min(FIRST_MS * 2 ** Math.min(attempt, 16), MOST_MS) * (0.5 + random / 2);

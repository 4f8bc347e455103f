/** The longest pause between two attempts, in milliseconds. */
const LONGEST_MS = 30_000;

/**
 * Milliseconds to wait before an attempt that `failures` others came before: twice as long each time, and at random by half, so
 * that a crowd that was cut off at once does not come back at once.
 */
export function backoff(failures: number): number {
  return Math.min(LONGEST_MS, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
}

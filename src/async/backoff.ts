/** How long to wait between attempts, in milliseconds. */
export interface Pauses {
  /** Before the first attempt that follows. It doubles with each further one. */
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * Milliseconds to wait after attempt number `attempt`, counted from 0. Random by half, so that what failed together is not tried
 * together again.
 */
export const backoff = ({ firstMs, mostMs }: Pauses, attempt: number, random = Math.random()): number =>
  Math.min(firstMs * 2 ** Math.min(attempt, 30), mostMs) * (0.5 + random / 2);

/** setTimeout fires at once beyond 2^31 - 1 ms, so longer waits are chained. */
const LONGEST_MS = 2 ** 31 - 1;

/** Calls `callback` at `time` (by `performance.now()`), however far off. Keeps no process alive. Answers how to cancel it. */
export function callAt(time: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const left = time - performance.now();
    timer = left > LONGEST_MS ? setTimeout(wait, LONGEST_MS) : setTimeout(callback, Math.max(left, 0));
    timer.unref();
  };
  wait();
  return () => clearTimeout(timer);
}

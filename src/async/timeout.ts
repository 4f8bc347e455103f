/** What did not answer, or stopped answering, within the time that it has. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError';
}

/** Settles as `promise` does, or rejects with a SilenceError once `ms` milliseconds have passed. `otherwise`: what that means. */
export async function inTime<T>(promise: Promise<T>, ms: number, otherwise: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new SilenceError(`${otherwise} within ${String(ms)} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

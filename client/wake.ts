/** What is needed of a browser's window and document; Node has none of it. */
interface Browser {
  readonly addEventListener?: (type: string, listener: () => void) => void;
  readonly removeEventListener?: (type: string, listener: () => void) => void;
  readonly document?: {
    readonly visibilityState: string;
    addEventListener(type: string, listener: () => void): void;
    removeEventListener(type: string, listener: () => void): void;
  };
}

/**
 * Calls back when the browser says that the network is back (`online`), and when the page is seen again.
 * Returns how to stop that. Where there is no browser nothing ever calls back.
 */
export function onWake(listener: () => void): () => void {
  const { addEventListener, removeEventListener, document } = globalThis as unknown as Browser;
  const seen = (): void => {
    if (document?.visibilityState === 'visible') listener();
  };
  addEventListener?.('online', listener);
  document?.addEventListener('visibilitychange', seen);
  return () => {
    removeEventListener?.('online', listener);
    document?.removeEventListener('visibilitychange', seen);
  };
}

/** Waits for so many milliseconds, and no longer when the browser wakes up (`onWake`) or `signal` aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      stop();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    const stop = onWake(end);
    signal?.addEventListener('abort', end);
    if (signal?.aborted === true) end();
  });
}

/** Something that may be waiting for an answer, and counts what it receives. */
export interface Watched {
  /** A number that changes with everything received; undefined while nothing is waited for. */
  received(): number | undefined;
  /** Called once, when nothing was received for the whole limit while something was waited for. */
  silent(): void;
}

/** Looks within one limit. A process that was blocked for long has looked once, not ten times. */
const LOOKS = 10;

/**
 * Finds connections that have fallen silent: no bytes, no FIN, no RST. One timer for all of them looks from time to time, so an
 * answer costs nothing. What it finds is silent for `limitMs` milliseconds, and a fifth more at most.
 */
export class SilenceWatch {
  private readonly watched = new Map<Watched, { received: number | undefined; looks: number }>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly limitMs: number) {}

  /** Watches until the returned function is called, or it was found silent. Keeps no process alive. */
  add(one: Watched): () => void {
    this.watched.set(one, { received: undefined, looks: 0 });
    this.timer ??= setInterval(() => this.look(), this.limitMs / LOOKS).unref();
    return () => this.remove(one);
  }

  private remove(one: Watched): void {
    this.watched.delete(one);
    if (this.watched.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private look(): void {
    for (const [one, last] of this.watched) {
      const received = one.received();
      last.looks = received !== undefined && received === last.received ? last.looks + 1 : 0;
      last.received = received;
      if (last.looks < LOOKS) continue;
      this.remove(one);
      one.silent();
    }
  }
}

interface Waiting {
  readonly start: () => void;
  readonly refuse: () => void;
}

export interface QueueBounds {
  /** That may wait. */
  readonly total: number;
  /** That may wait for one key. */
  readonly perKey: number;
}

/**
 * Work that is done one at a time, and waits in a short queue for each key. The keys take turns, so one of them holds up the others by one
 * piece of work at most. Where too much waits, the newest of the longest queue gives way.
 */
export class FairQueue {
  /** In the order of their turns. */
  private readonly queues = new Map<string, Waiting[]>();
  private size = 0;
  private isBusy = false;

  /** `refusal`: what is thrown for work that may not wait, or no longer, given how much waits. */
  constructor(
    private readonly bounds: QueueBounds,
    private readonly refusal: (waiting: number) => Error,
  ) {}

  /**
   * Does `work` in its turn, with what `prepare` answers, which begins once it has a place: what is refused at once prepares nothing.
   * Throws the refusal, and what both throw.
   */
  async run<P, T>(key: string, prepare: () => Promise<P>, work: (prepared: P) => Promise<T>): Promise<T> {
    const turn = this.enter(key);
    const preparing = prepare();
    // It may fail before anyone waits for it.
    preparing.catch(() => undefined);
    try {
      await turn;
    } catch (error) {
      // Nothing of it goes on once this has ended.
      await Promise.allSettled([preparing]);
      throw error;
    }
    try {
      return await work(await preparing);
    } finally {
      this.next();
    }
  }

  /** Answers when it is its turn; undefined for at once. Throws the refusal. */
  private enter(key: string): Promise<void> | undefined {
    if (!this.isBusy) {
      this.isBusy = true;
      return undefined;
    }
    const mine = this.queues.get(key)?.length ?? 0;
    if (mine >= this.bounds.perKey || (this.size >= this.bounds.total && !this.makePlace(mine))) {
      throw this.refusal(this.size);
    }
    return new Promise((resolve, reject) => {
      const waiting = {
        start: resolve,
        refuse: () => {
          reject(this.refusal(this.size));
        },
      };
      const queue = this.queues.get(key);
      if (queue === undefined) this.queues.set(key, [waiting]);
      else queue.push(waiting);
      this.size += 1;
    });
  }

  /** Whether a queue gave way that would be longer still than one with `mine` and one more. */
  private makePlace(mine: number): boolean {
    let longest: Waiting[] = [];
    for (const queue of this.queues.values()) if (queue.length > longest.length) longest = queue;
    if (longest.length <= mine + 1) return false;
    this.size -= 1;
    longest.pop()?.refuse();
    return true;
  }

  private next(): void {
    for (const [key, queue] of this.queues) {
      // To the end of the line, where more of it waits.
      this.queues.delete(key);
      const waiting = queue.shift();
      if (queue.length > 0) this.queues.set(key, queue);
      if (waiting === undefined) continue;
      this.size -= 1;
      waiting.start();
      return;
    }
    this.isBusy = false;
  }
}

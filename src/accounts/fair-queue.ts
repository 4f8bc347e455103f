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

  /** Does `work` in its turn. Throws the refusal, and what `work` throws. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.isBusy) await this.turn(key);
    else this.isBusy = true;
    try {
      return await work();
    } finally {
      this.next();
    }
  }

  private turn(key: string): Promise<void> {
    const mine = this.queues.get(key)?.length ?? 0;
    if (mine >= this.bounds.perKey || (this.size >= this.bounds.total && !this.makePlace(mine))) {
      return Promise.reject(this.refusal(this.size));
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

export interface FairQueueLimits {
  /** Pieces of work that are done at once. */
  readonly places: number;
  /** Of those, the most for one key. */
  readonly placesPerKey: number;
  /** Pieces of work that may wait. */
  readonly waiting: number;
  /** Of those, the most for one key. */
  readonly waitingPerKey: number;
}

interface Waiting {
  readonly begin: () => void;
  readonly refuse: () => void;
}

/** What a key has: the places that it takes, and the work that waits. */
interface Share {
  running: number;
  readonly waiting: Waiting[];
}

/**
 * Work in a bounded number of places, given out in turn to the keys that have work: one key's many wait for
 * each other, and not another's few for them. Where too much waits, the newest of the key with the most gives way.
 */
export class FairQueue {
  /** In the order of their turns: a key that comes, and one that had its turn, is last. */
  private readonly shares = new Map<string, Share>();
  private running = 0;
  private waiting = 0;

  /** `refusal`: what is thrown for work that may not wait, or no longer, given how much waits. */
  constructor(
    private readonly limits: FairQueueLimits,
    private readonly refusal: (waiting: number) => Error,
  ) {}

  /** Does `work` when it is the turn of `key`. Throws the refusal, and what the work throws. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    await this.take(key);
    return this.inPlace(key, work);
  }

  /**
   * The same for work that needs what `prepare` answers, which begins while it waits; what is refused at once
   * prepares nothing. Throws what both throw.
   */
  async runPrepared<P, T>(
    key: string,
    prepare: () => Promise<P>,
    work: (prepared: P) => Promise<T>,
  ): Promise<T> {
    const turn = this.take(key);
    const preparing = prepare();
    // It may fail before anything waits for it.
    preparing.catch(() => undefined);
    try {
      await turn;
    } catch (error) {
      // Nothing of it goes on once this has ended.
      await Promise.allSettled([preparing]);
      throw error;
    }
    return this.inPlace(key, async () => work(await preparing));
  }

  private async inPlace<T>(key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      this.give(key);
    }
  }

  /** Answers when the key has a place; undefined for at once. Throws the refusal at once, or rejects with it later. */
  private take(key: string): Promise<void> | undefined {
    const share = this.shares.get(key) ?? { running: 0, waiting: [] };
    if (this.running < this.limits.places && share.running < this.limits.placesPerKey) {
      this.begin(key, share);
      return undefined;
    }
    const mine = share.waiting.length;
    const isFull = this.waiting >= this.limits.waiting;
    if (mine >= this.limits.waitingPerKey || (isFull && !this.makeRoom(mine)))
      throw this.refusal(this.waiting);
    this.shares.set(key, share);
    this.waiting += 1;
    return new Promise((resolve, reject) => {
      share.waiting.push({ begin: resolve, refuse: () => reject(this.refusal(this.waiting)) });
    });
  }

  private begin(key: string, share: Share): void {
    share.running += 1;
    this.running += 1;
    this.shares.delete(key);
    this.shares.set(key, share);
  }

  /** Whether the key with the most gave way: one that has more waiting than a key with `mine` and one more. */
  private makeRoom(mine: number): boolean {
    let longest: Waiting[] = [];
    for (const { waiting } of this.shares.values()) if (waiting.length > longest.length) longest = waiting;
    if (longest.length <= mine + 1) return false;
    this.waiting -= 1;
    longest.pop()?.refuse();
    return true;
  }

  /** Gives a place back, and on to the next key that may have one. */
  private give(key: string): void {
    const mine = this.shares.get(key);
    if (mine !== undefined) mine.running -= 1;
    this.running -= 1;
    if (mine?.running === 0 && mine.waiting.length === 0) this.shares.delete(key);
    for (const [next, share] of this.shares) {
      if (share.running >= this.limits.placesPerKey) continue;
      const waiting = share.waiting.shift();
      if (waiting === undefined) continue;
      this.waiting -= 1;
      this.begin(next, share);
      waiting.begin();
      return;
    }
  }
}

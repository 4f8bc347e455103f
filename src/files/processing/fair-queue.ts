export interface FairQueueLimits {
  /** Pieces of work that are done at once. */
  readonly places: number;
  /** Of those, the most that one owner may have: fewer than `places`, so that nobody fills all of them alone. */
  readonly perOwner: number;
  /** Pieces of work of one owner that may wait. */
  readonly waitingPerOwner: number;
  /** Of all owners. Beyond it only an owner who has nothing waiting may wait. */
  readonly waiting: number;
}

/** What an owner has waiting, and in how many places. */
interface Share {
  running: number;
  readonly waiting: (() => void)[];
}

/**
 * Work in a bounded number of places, given out in turn to those who have work: one owner's many wait for each other, and not
 * another's few for them.
 */
export class FairQueue {
  /** In the order of their turns: whoever comes, and whoever had theirs, is last. */
  private readonly shares = new Map<string, Share>();
  private running = 0;
  private waiting = 0;

  constructor(private readonly limits: FairQueueLimits) {}

  /** Does the work when its owner's turn has come. Throws what `refusal` makes, at once, when too much of it waits. */
  async run<T>(owner: string, work: () => Promise<T>, refusal: () => Error): Promise<T> {
    const share = this.shares.get(owner) ?? { running: 0, waiting: [] };
    if (this.running < this.limits.places && share.running < this.limits.perOwner) {
      this.shares.set(owner, share);
      this.begin(share);
    } else {
      const most = this.waiting < this.limits.waiting ? this.limits.waitingPerOwner : 1;
      if (share.waiting.length >= most) throw refusal();
      this.shares.set(owner, share);
      this.waiting += 1;
      await new Promise<void>((resolve) => share.waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      share.running -= 1;
      this.running -= 1;
      if (share.running === 0 && share.waiting.length === 0) this.shares.delete(owner);
      this.next();
    }
  }

  private begin(share: Share): void {
    share.running += 1;
    this.running += 1;
  }

  /** Gives a place that is free to the next owner who may have it, and puts them behind all others. */
  private next(): void {
    for (const [owner, share] of this.shares) {
      if (share.running >= this.limits.perOwner) continue;
      const start = share.waiting.shift();
      if (start === undefined) continue;
      this.waiting -= 1;
      this.begin(share);
      this.shares.delete(owner);
      this.shares.set(owner, share);
      start();
      return;
    }
  }
}

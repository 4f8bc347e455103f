/** What is being executed in this process: whatever an execution stands on is closed only when there are none. */
export class Executions {
  private running = 0;
  private waiting: (() => void)[] = [];

  /** Counts an execution until it has settled, and hands it through. What is no promise is over. */
  track<T>(execution: T | Promise<T>): T | Promise<T> {
    if (execution instanceof Promise) {
      this.running += 1;
      execution.then(this.settled, this.settled);
    }
    return execution;
  }

  /**
   * Resolves when nothing is being executed, after `ms` at the latest. Those whose clients are gone go on to their end as well: an
   * event that was being read for subscribers, a write whose request was cut off.
   */
  async idle(ms: number): Promise<void> {
    if (this.running === 0) return;
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.waiting.push(resolve);
      late = setTimeout(resolve, ms);
    });
    clearTimeout(late);
  }

  private readonly settled = (): void => {
    this.running -= 1;
    if (this.running > 0) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  };
}

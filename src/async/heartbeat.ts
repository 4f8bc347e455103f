export interface HeartbeatTimes {
  /** Milliseconds without a beat after which others may take over what is held. */
  readonly holdMs: number;
  readonly heartbeatMs: number;
}

/**
 * Holds something that others may take over once its time has passed: a lease, a job. Beats until it is stopped, and says once when
 * it can no longer be sure to hold it: another has it, or no beat has succeeded for too long, whether beats fail or hang.
 */
export class Heartbeat {
  private readonly timer: NodeJS.Timeout;
  private goodUntil: number;
  private isBeating = false;

  /** `since`: when it was taken, by `performance.now()`. `beat` resolves to whether it is held still; `hasTime`: by the monotonic clock its time has not passed. */
  constructor(
    private readonly times: HeartbeatTimes,
    since: number,
    private readonly beat: (hasTime: boolean) => Promise<boolean>,
    private readonly onLost: () => void,
  ) {
    this.goodUntil = since + times.holdMs;
    this.timer = setInterval(() => this.tick(), times.heartbeatMs);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    if (this.isBeating) this.loseInTime();
    else void this.renew();
  }

  private async renew(): Promise<void> {
    this.isBeating = true;
    const asked = performance.now();
    try {
      if (await this.beat(asked < this.goodUntil)) this.goodUntil = asked + this.times.holdMs;
      else this.lose();
    } catch {
      // What it asks may be away for a moment.
      this.loseInTime();
    } finally {
      this.isBeating = false;
    }
  }

  /** Where the next tick would be too late. */
  private loseInTime(): void {
    if (performance.now() + this.times.heartbeatMs > this.goodUntil) this.lose();
  }

  private lose(): void {
    this.stop();
    this.onLost();
  }
}

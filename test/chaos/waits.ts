/** How long events took from their commit to their subscribers, and how long those heard nothing, by what was wrong meanwhile. */
export class Waits {
  private readonly longest = new Map<string, number>();
  private readonly silences = new Map<string, number>();
  private readonly counts = new Map<string, number>();
  private readonly calm: number[] = [];
  /** What is wrong now; undefined: nothing. */
  private cause: string | undefined;

  begin(cause: string): void {
    this.cause = cause;
    this.counts.set(cause, (this.counts.get(cause) ?? 0) + 1);
  }

  calmDown(): void {
    this.cause = undefined;
  }

  count(cause: string): number {
    return this.counts.get(cause) ?? 0;
  }

  /** `silence`: since the subscriber's event before. */
  delivered(ms: number, silence: number): void {
    const cause = this.cause ?? 'none';
    this.longest.set(cause, Math.max(this.longest.get(cause) ?? 0, ms));
    this.silences.set(cause, Math.max(this.silences.get(cause) ?? 0, silence));
    if (this.cause === undefined) this.calm.push(ms);
  }

  /** Milliseconds. */
  longestDuring(cause: string): number {
    return this.longest.get(cause) ?? 0;
  }

  /** Milliseconds. */
  longestSilenceDuring(cause: string): number {
    return this.silences.get(cause) ?? 0;
  }

  /** Milliseconds, while nothing was wrong. */
  calmQuantile(quantile: number): number {
    const sorted = this.calm.sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0;
  }
}

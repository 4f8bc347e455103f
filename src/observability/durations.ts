import type { Histogram } from 'prom-client';

/** Upper bounds of the buckets, in seconds. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** How long things with the same labels took. */
class Series<Labels> {
  /** How many were in each bucket and in none before it, at last those beyond all bounds. */
  readonly counts = new Array<number>(BOUNDS.length + 1).fill(0);
  sum = 0;

  constructor(readonly labels: Labels) {}

  observe(seconds: number): void {
    let bucket = 0;
    while (seconds > (BOUNDS[bucket] ?? Infinity)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += seconds;
  }
}

/**
 * A histogram of seconds, made into what prom-client shows when it is scraped. Its own looks through the labels and makes a key of them
 * each time, which costs several times what it takes to count.
 */
export class Durations<Labels extends Readonly<Record<string, string>>> {
  private readonly series = new Map<string, Series<Labels>>();

  constructor(
    private readonly name: string,
    private readonly help: string,
  ) {}

  /** Counts what took so many seconds. `key` tells `labels` from others. */
  observe(key: string, labels: Labels, seconds: number): void {
    let series = this.series.get(key);
    if (series === undefined) {
      series = new Series(labels);
      this.series.set(key, series);
    }
    series.observe(seconds);
  }

  /** For a registry, which asks a metric for its name and for this. */
  asMetric(): Histogram {
    const { name, help } = this;
    const get = () =>
      Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values: [...this.values()] });
    return { name, get } as unknown as Histogram;
  }

  private *values() {
    for (const { labels, counts, sum } of this.series.values()) {
      let count = 0;
      for (const [i, own] of counts.entries()) {
        count += own;
        yield {
          metricName: `${this.name}_bucket`,
          labels: { le: BOUNDS[i] ?? '+Inf', ...labels },
          value: count,
        };
      }
      yield { metricName: `${this.name}_sum`, labels, value: sum };
      yield { metricName: `${this.name}_count`, labels, value: count };
    }
  }
}

import { AggregatorRegistry } from 'prom-client';
import type { Logger } from './logger.js';
import type { Metrics, ProcessMetrics } from './metrics.js';

/** What only grows: it is summed for good. */
const GROWING: ReadonlySet<string> = new Set(['counter', 'histogram', 'summary']);

/**
 * The metrics of several processes as one's: sums, but for what the library's own metrics say otherwise (the greatest of greatest lags). What a
 * process has counted stays in the sums when it has ended, or they would go back, which a `rate()` takes for a restart and counts all of
 * what is left anew. What it had, such as sockets, goes with it.
 */
export class SummedMetrics {
  private readonly last = new Map<object, ProcessMetrics>();
  private readonly gone = new WeakSet<object>();
  private ended: Promise<ProcessMetrics> = Promise.resolve([]);

  constructor(private readonly logger: Logger) {}

  /** `processes`: each that runs, with what it says of itself; undefined for one that does not answer, which counts as it did last. */
  async sum(processes: ReadonlyMap<object, ProcessMetrics | undefined>): Promise<Metrics> {
    for (const [process, metrics] of processes)
      if (metrics !== undefined && !this.gone.has(process)) this.last.set(process, metrics);
    const running = [...this.last.values()];
    const registry = together([...running, await this.ended]);
    return { type: registry.contentType, text: await registry.metrics() };
  }

  /** A process has ended. `metrics`: its last word; undefined where it never had one. */
  end(process: object, metrics: ProcessMetrics | undefined): void {
    this.gone.add(process);
    this.last.delete(process);
    if (metrics === undefined) return;
    const growing = metrics.filter(({ type }) => GROWING.has(String(type)));
    this.ended = this.ended.then((before) =>
      Promise.resolve()
        .then(() => together([before, growing]).getMetricsAsJSON())
        .catch((err: unknown) => {
          // A newer worker may count what this library cannot sum.
          this.logger.warn({ err }, 'what a process had counted is lost');
          return before;
        }),
    );
  }
}

const together = (metrics: readonly ProcessMetrics[]) => AggregatorRegistry.aggregate([...metrics]);

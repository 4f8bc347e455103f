import { AggregatorRegistry } from 'prom-client';
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
  private ended: Promise<ProcessMetrics> = Promise.resolve([]);

  /** `processes`: each that runs, with what it says of itself; undefined for one that does not answer, which counts as it did last. */
  async sum(processes: ReadonlyMap<object, ProcessMetrics | undefined>): Promise<Metrics> {
    for (const [process, metrics] of this.last) {
      if (processes.has(process)) continue;
      this.last.delete(process);
      this.ended = this.ended.then((before) =>
        together([before, metrics.filter(({ type }) => GROWING.has(String(type)))]).getMetricsAsJSON(),
      );
    }
    for (const [process, metrics] of processes) if (metrics !== undefined) this.last.set(process, metrics);
    const ended = await this.ended;
    const registry = together([...this.last.values(), ended]);
    return { type: registry.contentType, text: await registry.metrics() };
  }
}

const together = (metrics: readonly ProcessMetrics[]) => AggregatorRegistry.aggregate([...metrics]);

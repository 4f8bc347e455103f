import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createLogger } from './logger.js';
import { SummedMetrics } from './summed-metrics.js';

const quiet = createLogger('silent');

/** A process with one metric of each kind. */
class Process {
  readonly registry = new Registry();
  readonly counter = new Counter({ name: 'c', help: 'c', labelNames: ['code'], registers: [this.registry] });
  readonly gauge = new Gauge({ name: 'g', help: 'g', registers: [this.registry] });
  readonly histogram = new Histogram({ name: 'h', help: 'h', buckets: [1], registers: [this.registry] });

  constructor(counted: number) {
    this.counter.inc({ code: 'A' }, counted);
    this.gauge.set(counted);
    this.histogram.observe(0.5);
  }

  metrics() {
    return this.registry.getMetricsAsJSON();
  }
}

const textOf = async (summed: SummedMetrics, ...processes: readonly Process[]): Promise<string> => {
  const asked = processes.map(async (process) => [process, await process.metrics()] as const);
  return (await summed.sum(new Map(await Promise.all(asked)))).text;
};

describe('The metrics of several processes', () => {
  test('are summed, buckets of histograms among them', async () => {
    const text = await textOf(new SummedMetrics(quiet), new Process(3), new Process(4));
    expect(text).toContain('c{code="A"} 7\n');
    expect(text).toContain('g 7\n');
    expect(text).toContain('h_bucket{le="1"} 2\n');
    expect(text).toContain('h_sum 1\n');
    expect(text).toContain('h_count 2\n');
  });

  test('keep what a process had counted when it has ended, so that no sum goes back, and not what it had', async () => {
    const summed = new SummedMetrics(quiet);
    const [one, two, three] = [new Process(3), new Process(4), new Process(5)];
    await textOf(summed, one, two);
    one.counter.inc({ code: 'A' });
    summed.end(one, await one.metrics());
    expect(await textOf(summed, two)).toContain('c{code="A"} 8\n');
    // What it was asked before comes too late.
    expect(await textOf(summed, one, two)).toContain('c{code="A"} 8\n');
    // Another in its place, and that one ends too.
    const both = await textOf(summed, two, three);
    expect(both).toContain('c{code="A"} 13\n');
    expect(both).toContain('g 9\n');
    summed.end(three, await three.metrics());
    summed.end(new Process(9), undefined);
    const last = await textOf(summed, two);
    expect(last).toContain('c{code="A"} 13\n');
    expect(last).toContain('h_count 3\n');
    expect(last).toContain('g 4\n');
    expect(await textOf(summed, two)).toBe(last);
  });

  test('go on without what a newer process counts in a way that is not known here', async () => {
    const summed = new SummedMetrics(quiet);
    const [one, two] = [new Process(3), new Process(4)];
    const metrics = await one.metrics();
    summed.end(
      one,
      metrics.map((metric) => ({ ...metric, aggregator: 'newer' })) as unknown as typeof metrics,
    );
    summed.end(new Process(1), await new Process(5).metrics());
    expect(await textOf(summed, two)).toContain('c{code="A"} 9\n');
  });

  test('count one that does not answer as it did last', async () => {
    const summed = new SummedMetrics(quiet);
    const [one, two] = [new Process(3), new Process(4)];
    await textOf(summed, one, two);
    const { text } = await summed.sum(
      new Map([
        [one, undefined],
        [two, await two.metrics()],
      ]),
    );
    expect(text).toContain('c{code="A"} 7\n');
  });

  test('tell the greatest of the greatest lags, not their sum', async () => {
    const process = new Process(1);
    collectDefaultMetrics({ register: process.registry });
    const metrics = await process.metrics();
    const withLag = (value: number) =>
      metrics.map((metric) =>
        metric.name === 'nodejs_eventloop_lag_max_seconds'
          ? { ...metric, values: [{ value, labels: {} }] }
          : metric,
      );
    const { text } = await new SummedMetrics(quiet).sum(
      new Map([
        [{}, withLag(0.25)],
        [{}, withLag(0.5)],
      ]),
    );
    expect(text).toContain('nodejs_eventloop_lag_max_seconds 0.5\n');
  });
});

import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import type { Primary } from './primary.js';

/**
 * Serves the metrics of all processes of a program together, where the configuration says so: each is asked at a scrape. Throws StartError
 * when the port is taken.
 */
export async function serveSummedMetrics(
  primary: Primary,
  { port, host }: Config['metrics'],
  logger: Logger,
): Promise<void> {
  if (port === undefined) return;
  // Not before: the primary of a program without metrics loads none of it.
  const { serveMetrics } = await import('../http/metrics-server.js');
  const { SummedMetrics } = await import('../observability/summed-metrics.js');
  const summed = new SummedMetrics(logger);
  primary.onEnd = (member) => {
    summed.end(member, member.counts);
  };
  const read = async () => {
    const asked = [...primary.members].map(async (member) => [member, await member.metrics()] as const);
    return summed.sum(new Map(await Promise.all(asked)));
  };
  await serveMetrics({ port, host, read, logger });
}

import cluster from 'node:cluster';
import { alone } from './cluster/alone.js';
import { serveSummedMetrics } from './cluster/metrics.js';
import { Primary } from './cluster/primary.js';
import { obeySignals } from './cluster/signals.js';
import { runWorker } from './cluster/worker.js';
import type { Config } from './config/config.js';
import { loadConfig } from './config/env.js';
import { explain } from './db/explain.js';
import { createLogger } from './observability/logger.js';

/**
 * The program: its only process, the primary of several (WORKERS), or one of those. The primary runs this very file again for each
 * of them, and loads none of what serves. Exit codes: 0 stopped when asked to, 1 could not start or broke.
 */
async function main(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config.logLevel);
  const start = async (own: Config) => (await import('./app.js')).createApp(own, logger);

  if (cluster.isWorker) {
    // Its metrics are the primary's to serve.
    const own = { ...config, metrics: { ...config.metrics, port: undefined } };
    await runWorker(() => start(own), explain, logger, config.metrics.port !== undefined);
  } else if (config.workers > 1) {
    const primary = new Primary(config, logger);
    const url = await primary.start();
    await serveSummedMetrics(primary, config.metrics, logger).catch((error: unknown) => {
      primary.kill();
      throw error;
    });
    obeySignals(primary, config.drainDelayMs, logger);
    process.stdout.write(`parley listening on ${url}\n`);
  } else {
    const app = await start(config);
    obeySignals(alone(app, logger), config.drainDelayMs, logger);
    process.stdout.write(`parley listening on ${app.url}\n`);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`parley: ${explain(error)}\n`);
  process.exit(1);
});

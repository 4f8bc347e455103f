import cluster from 'node:cluster';
import { alone } from './cluster/alone.js';
import { serveSummedMetrics } from './cluster/metrics.js';
import { Primary } from './cluster/primary.js';
import { obeySignals } from './cluster/signals.js';
import { runWorker } from './cluster/worker.js';
import type { Config } from './config/config.js';
import { loadConfig } from './config/env.js';
import { placesOf } from './config/places.js';
import { explain, runCommand } from './db/explain.js';
import { createLogger, logWarnings } from './observability/logger.js';
import { packageVersion } from './package-directory.js';

/**
 * The program: its only process, the primary of several (WORKERS), or one of those. The primary runs this very file again for each
 * of them, and loads none of what serves. Exit codes: 0 stopped when asked to, 1 could not start or broke.
 */
async function main(): Promise<void> {
  const doubts: string[] = [];
  const config = loadConfig((line) => doubts.push(line));
  const logger = createLogger(config.logLevel);
  logWarnings(logger);
  const start = async (own: Config) => (await import('./app.js')).createApp(own, logger);

  if (cluster.isPrimary) {
    const started = { version: packageVersion(), node: process.version, processes: config.workers };
    logger.info({ ...started, ...placesOf(config) }, 'starting');
    for (const line of doubts) logger.warn(line);
  }
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
    obeySignals(alone(app), config.drainDelayMs, logger);
    process.stdout.write(`parley listening on ${app.url}\n`);
  }
}

runCommand(main);

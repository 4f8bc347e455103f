import { createApp } from './app.js';
import { loadConfig } from './config/env.js';
import { isOutage } from './db/outage.js';
import { StartError } from './errors.js';
import { createLogger, type Logger } from './observability/logger.js';

/** The process: configuration, the app, signals. Exit codes: 0 stopped when asked to, 1 could not start or broke. */
async function main(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config.logLevel);
  const app = await createApp(config, logger);
  process.stdout.write(`parley listening on ${app.url}\n`);

  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    // A second signal means now.
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ signal }, 'stopping');
    app[Symbol.asyncDispose]().then(
      () => process.exit(0),
      (err: unknown) => {
        fail(logger, err);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // A state that nobody foresaw is not gone on with: whoever supervises starts a clean one, and nothing acknowledged is lost.
  process.on('uncaughtException', (err) => {
    fail(logger, err);
  });
}

function fail(logger: Logger, err: unknown): never {
  logger.fatal({ err }, 'broken');
  process.exit(1);
}

main().catch((error: unknown) => {
  process.stderr.write(`parley: ${error instanceof StartError ? error.message : explain(error)}\n`);
  process.exit(1);
});

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  // What was attempted, then why it failed; a stack only where nobody gave a reason.
  if (error.cause !== undefined) return `${error.message}: ${explain(error.cause)}`;
  if (code === 'EADDRINUSE')
    return `${error.message}: another program listens there; set PORT to another port`;
  if (isOutage(error)) return `cannot reach what it needs: ${error.message || code}`;
  if (/^[0-9A-Z]{5}$/.test(code)) return error.message;
  return error.stack ?? error.message;
}

import type { App } from '../app.js';
import type { Logger } from '../observability/logger.js';
import type { ToPrimary, ToWorker } from './messages.js';

/** A terminal, and some supervisors, send these to every process of the program: it is the primary that acts on them. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/**
 * One of several processes: starts the server, tells the primary how that went, and does as it is told. It ends with 0 when it has
 * left, with 1 when it cannot start, and by node:cluster's own doing when the primary is gone.
 * `explain`: why a start failed, in one line. `isCounted`: whether the primary serves what it counts.
 */
export async function runWorker(
  start: () => Promise<App>,
  explain: (error: unknown) => string,
  logger: Logger,
  isCounted: boolean,
): Promise<void> {
  for (const signal of SIGNALS) process.on(signal, () => undefined);
  process.removeAllListeners('uncaughtException').on('uncaughtException', (err) => {
    logger.fatal({ err }, 'broken');
    process.exit(1);
  });
  let app: App;
  try {
    app = await start();
  } catch (error) {
    tell({ type: 'failed', reason: explain(error) }, () => process.exit(1));
    return;
  }
  process.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'retire':
        app.retire(message.isStopping);
        break;
      case 'metrics':
        void app.metrics().then((metrics) => tell({ type: 'metrics', metrics }));
        break;
      case 'close':
        // The primary hears of this in order: first that no connection is to be handed over, then that this is so.
        app.close();
        tell({ type: 'closed' });
        break;
      case 'drain':
        // What breaks here ends the process, as anything that nobody foresaw.
        void app[Symbol.asyncDispose]().then(() => {
          if (!isCounted) process.exit(0);
          app.metrics().then(
            (metrics) => {
              tell({ type: 'metrics', metrics }, () => process.exit(0));
            },
            () => process.exit(0),
          );
        });
        break;
    }
  });
  tell({ type: 'ready', url: app.url });
}

function tell(message: ToPrimary, sent: () => void = () => undefined): void {
  process.send?.(message, undefined, undefined, sent);
}

import type { Logger } from '../observability/logger.js';

/** What the signals of the program ask for: of its only process, or of the primary of several. */
export interface Program {
  /** Leaves, after `ms` in which it serves on. Resolves when it may end. */
  stop(ms: number): Promise<void>;
  /** Leaves nothing running. */
  kill(): void;
  /** Replaces what serves; undefined where nothing could take its place. */
  readonly roll?: () => void;
}

/** Milliseconds in which the same signal again is the same one: npm passes on what a terminal has sent to all of its programs. */
const ONCE_MS = 1000;

/**
 * SIGTERM, of a supervisor: stops after `drainDelayMs`, which a balancer takes to notice. SIGINT, of a terminal: stops
 * without a delay, for no balancer is there. Both end with 0; a second one ends now, with 1. SIGHUP rolls, and stops a
 * single process as SIGINT does: its terminal was closed. An error that nothing catches ends the program too, with 1: it
 * does not go on in an unforeseen state. The supervisor starts a clean one, and nothing acknowledged is lost.
 */
export function obeySignals(program: Program, drainDelayMs: number, logger: Logger): void {
  const broken = (err: unknown): never => {
    logger.fatal({ err }, 'broken');
    program.kill();
    process.exit(1);
  };
  let first: { readonly signal: NodeJS.Signals; readonly at: number } | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    const at = performance.now();
    if (first !== undefined) {
      if (signal === first.signal && at - first.at < ONCE_MS) return;
      logger.warn({ signal }, 'stopped at once');
      program.kill();
      process.exit(1);
    }
    first = { signal, at };
    logger.info({ signal }, 'stopping');
    program
      .stop(signal === 'SIGTERM' ? drainDelayMs : 0)
      .then(() => {
        logger.info({ signal, seconds: Math.round((performance.now() - at) / 100) / 10 }, 'stopped');
        process.exit(0);
      })
      .catch(broken);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', program.roll ?? stop);
  process.removeAllListeners('uncaughtException').on('uncaughtException', broken);
}

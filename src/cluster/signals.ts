import type { Logger } from '../observability/logger.js';

/** What the signals of the program ask for: of its only process, or of the primary of several. */
export interface Program {
  /** Leaves, after `ms` in which it serves on. Resolves when it may end. */
  stop(ms: number): Promise<void>;
  /** Leaves nothing running. */
  kill(): void;
  /** Replaces what serves. */
  roll(): void;
}

/**
 * SIGTERM, of a supervisor: stops after `drainDelayMs`, which a balancer takes to notice. SIGINT, of a terminal: stops without a
 * delay, for nobody balances there. Both end with 0; a second one ends now, with 1. SIGHUP rolls. So does an error that nobody caught
 * end, with 1: a state that nobody foresaw is not gone on with. Whoever supervises starts a clean one, and nothing acknowledged
 * is lost.
 */
export function obeySignals(program: Program, drainDelayMs: number, logger: Logger): void {
  const broken = (err: unknown): never => {
    logger.fatal({ err }, 'broken');
    program.kill();
    process.exit(1);
  };
  let isStopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (isStopping) {
      program.kill();
      process.exit(1);
    }
    isStopping = true;
    logger.info({ signal }, 'stopping');
    program.stop(signal === 'SIGTERM' ? drainDelayMs : 0).then(() => process.exit(0), broken);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => program.roll());
  process.on('uncaughtException', broken);
}

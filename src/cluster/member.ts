import type { Worker } from 'node:cluster';
import type { ProcessMetrics } from '../observability/metrics.js';
import type { ToPrimary, ToWorker } from './messages.js';

/** Milliseconds for a worker to say what it has counted. */
const METRICS_MS = 2000;

/** A worker as the primary sees it. */
export class Member {
  /** The address that it listens at. Rejects when it ends before, with its reason. */
  readonly ready: Promise<string>;
  /** How it ended, in words. */
  readonly ended: Promise<string>;
  /** Resolves behind its last word, which may come after it has ended. */
  readonly silent: Promise<void>;
  /** What it said last that it has counted. */
  counts: ProcessMetrics | undefined;
  /** Whether it has been ready and has not ended. */
  isServing = false;
  /** Whether it was told to go: its end is nobody's concern. */
  isLeaving = false;
  private closed: () => void = () => undefined;
  private counted: (metrics: ProcessMetrics | undefined) => void = () => undefined;
  private asked: Promise<ProcessMetrics | undefined> | undefined;

  /**
   * `generation`: the roll that it came with. `attempt`: how many before it, in a row, have ended before their time. `bornAt`: by
   * `performance.now()`.
   */
  constructor(
    private readonly worker: Worker,
    readonly generation: number,
    readonly attempt: number,
    readonly bornAt = performance.now(),
  ) {
    let reason: string | undefined;
    this.ended = new Promise((resolve) => {
      worker.once('exit', (code: number | null, signal: string | null) => {
        this.isServing = false;
        this.closed();
        this.counted(undefined);
        resolve(reason ?? `a process ended with ${String(signal ?? code)}`);
      });
    });
    this.ready = new Promise((resolve, reject) => {
      worker.on('message', (message: ToPrimary) => {
        switch (message.type) {
          case 'ready':
            this.isServing = true;
            resolve(message.url);
            break;
          case 'metrics':
            this.counts = message.metrics;
            this.counted(message.metrics);
            break;
          case 'failed':
            reason = message.reason;
            break;
          case 'closed':
            this.closed();
            break;
        }
      });
      void this.ended.then((how) => {
        reject(new Error(how));
      });
    });
    this.silent = new Promise((resolve) => {
      worker.once('disconnect', resolve);
    });
    // Whoever waits hears of it; one that was ready is waited for no more.
    this.ready.catch(() => undefined);
    // A channel that breaks under a message belongs to a process that ends, which is heard of.
    worker.on('error', () => undefined);
  }

  get pid(): number | undefined {
    return this.worker.process.pid;
  }

  tell(message: ToWorker): void {
    if (this.worker.isConnected()) this.worker.send(message, () => undefined);
  }

  /** Resolves when it takes no more connections, or has ended. */
  async close(): Promise<void> {
    if (!this.isServing) return;
    const closed = new Promise<void>((resolve) => {
      this.closed = resolve;
    });
    this.tell({ type: 'close' });
    await closed;
  }

  /** What it has counted; undefined when it does not serve, or is too busy to say so in time. Who asks meanwhile is answered the same. */
  metrics(): Promise<ProcessMetrics | undefined> {
    if (!this.isServing) return Promise.resolve(undefined);
    this.asked ??= new Promise<ProcessMetrics | undefined>((resolve) => {
      const late = setTimeout(resolve, METRICS_MS, undefined);
      this.counted = (metrics) => {
        clearTimeout(late);
        resolve(metrics);
      };
      this.tell({ type: 'metrics' });
    }).finally(() => {
      this.asked = undefined;
    });
    return this.asked;
  }

  /** Ends it now. */
  kill(): void {
    this.isLeaving = true;
    this.worker.process.kill('SIGKILL');
  }
}

import { SilenceError } from './timeout.js';

/** A number of permits, given in the order of the calls. Who waits for longer than `waitMs` milliseconds is refused. */
export class Permits {
  private readonly queue = new Set<() => void>();

  /** `otherwise`: what it means that none was free. */
  constructor(
    private free: number,
    private readonly waitMs: number,
    private readonly otherwise: string,
  ) {}

  /** How many wait. */
  get waiting(): number {
    return this.queue.size;
  }

  /** Takes one, which `give` must give back. Rejects with a SilenceError. */
  async take(): Promise<void> {
    if (this.free > 0) {
      this.free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.queue.delete(grant);
        reject(new SilenceError(`${this.otherwise} within ${String(this.waitMs)} ms`));
      }, this.waitMs);
      const grant = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.queue.add(grant);
    });
  }

  give(): void {
    const [next] = this.queue;
    if (next === undefined) {
      this.free += 1;
      return;
    }
    this.queue.delete(next);
    next();
  }
}

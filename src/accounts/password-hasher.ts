import { Worker } from 'node:worker_threads';
import type { Answer, Task } from './password-thread.js';

interface Waiting {
  readonly resolve: (value: string | boolean) => void;
  readonly reject: (reason: Error) => void;
}

const PROGRAM = new URL('password-thread.js', import.meta.url);

/** A thread of its own for argon2, started when it is needed. Tasks are done in order, one at a time. */
export class PasswordHasher {
  private worker: Worker | undefined;
  private waiting: Waiting[] = [];
  private closed = false;

  /** A PHC string, with a salt of its own. */
  async hash(password: string): Promise<string> {
    return (await this.ask({ kind: 'hash', password })) as string;
  }

  /** Whether `password` is what the PHC string `stored` was made of. */
  async verify(stored: string, password: string): Promise<boolean> {
    return (await this.ask({ kind: 'verify', stored, password })) as boolean;
  }

  /** Ends the thread. What it has not done rejects. */
  async close(): Promise<void> {
    this.closed = true;
    await this.worker?.terminate();
  }

  private ask(task: Task): Promise<string | boolean> {
    if (this.closed) return Promise.reject(new Error('the process stops'));
    const worker = (this.worker ??= this.start());
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      worker.ref();
      worker.postMessage(task);
    });
  }

  private start(): Worker {
    // The arguments that Node was started with may be loaders, which the thread does without.
    const worker = new Worker(PROGRAM, { execArgv: [], env: {} });
    worker.on('message', (answer: Answer) => {
      const waiting = this.waiting.shift();
      // A thread that rests keeps no process alive.
      if (this.waiting.length === 0) worker.unref();
      if ('error' in answer) waiting?.reject(new Error(answer.error));
      else waiting?.resolve(answer.value);
    });
    const ended = (error: Error): void => {
      if (this.worker !== worker) return;
      this.worker = undefined;
      for (const { reject } of this.waiting.splice(0)) reject(error);
    };
    worker.once('error', ended);
    worker.once('exit', (code) => {
      ended(new Error(`the thread that hashes passwords ended with code ${String(code)}`));
    });
    return worker;
  }
}

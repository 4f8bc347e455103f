import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { environmentOf, type Place } from './app.js';
import { within } from './deadline.js';
import { memoryOf } from './system.js';

/** A server in a process of its own, as `npm start` runs it: what `npm run build` made. */
export class ServerProcess implements AsyncDisposable {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly written: { log: string },
  ) {}

  /** All that it has logged so far. */
  get log(): string {
    return this.written.log;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Resolves when it says that it is ready; rejects with what it wrote when it ends before. `files`: how many it may open. */
  static async start(
    place: Place,
    more: Record<string, string> = {},
    files?: number,
  ): Promise<ServerProcess> {
    const limited = files === undefined ? '' : `ulimit -n ${files}; `;
    // By its path: a test may give the server a PATH of its own.
    const child = spawn('/bin/sh', ['-c', `${limited}exec "$0" dist/src/main.js`, process.execPath], {
      env: { PATH: process.env['PATH'], ...environmentOf(place, more) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const written = { log: '' };
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (written.log += chunk));
    const ready = new Promise<string>((resolve, reject) => {
      createInterface(child.stdout).on('line', (line) => {
        const url = /^parley listening on (\S+)$/.exec(line)?.[1];
        if (url !== undefined) resolve(url);
      });
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${written.log}`)));
    });
    try {
      return new ServerProcess(await within(30_000, 'the server is ready', ready), child, written);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  memory(): Promise<number> {
    return memoryOf(this.child.pid!);
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL');
  }
}

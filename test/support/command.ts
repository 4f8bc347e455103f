import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually, within } from './deadline.js';

const DIST = join(import.meta.dirname, '../../dist/src');

/** One of the program's commands, as it was built, in a process of its own. */
export class Command implements AsyncDisposable {
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;
  private readonly closed: Promise<unknown>;

  /** `script`: main, migrate or files-tool. The environment is `env` and nothing else; a `.env` is looked for in `cwd`. */
  constructor(
    script: 'main' | 'migrate' | 'files-tool',
    args: readonly string[],
    { cwd, env }: { cwd: string; env: Record<string, string> },
  ) {
    this.child = spawn(process.execPath, [join(DIST, `${script}.js`), ...args], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.closed = once(this.child, 'close');
  }

  /** The address that it says it listens on. */
  async ready(ms = 60_000): Promise<string> {
    return eventually(ms, 'the ready line', () => {
      if (this.child.exitCode !== null) return Promise.reject(new Error(`it ended: ${this.stderr}`));
      return /^parley listening on (\S+)\n/.exec(this.stdout)?.[1];
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The exit code, or the signal it died of, once it has ended and all that it wrote is read. */
  async end(ms = 40_000): Promise<number | NodeJS.Signals | null> {
    await within(ms, 'its end', this.closed);
    return this.child.exitCode ?? this.child.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.closed;
  }
}

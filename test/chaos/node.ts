import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { childrenOf } from '../support/system.js';
import { eventually, within } from '../support/deadline.js';

const ROOT = join(import.meta.dirname, '../..');

export interface NodeOptions {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where what it logs is kept. */
  readonly logFile: string;
}

/** One server of the cluster, a process or several by WORKERS, under a supervisor that starts it again until it is ready. */
export class AppNode {
  /** Where it listens; undefined while it does not. */
  port: number | undefined;
  /** How it ended when nobody had asked it to. */
  readonly crashes: string[] = [];
  /** Starts that failed because what it needs was away. */
  failedStarts = 0;
  /** Messages that it logged as errors, and how often. */
  readonly errors = new Map<string, number>();
  private child: ChildProcess | undefined;
  private exited: Promise<unknown> = Promise.resolve();
  private expectsEnd = false;
  private lastLines: string[] = [];

  constructor(private readonly options: NodeOptions) {}

  get name(): string {
    return this.options.name;
  }

  async start(): Promise<void> {
    await eventually(90_000, `${this.name} starts`, async () => {
      try {
        await this.launch();
        return true;
      } catch (error) {
        this.failedStarts += 1;
        await pause(200);
        throw error;
      }
    });
  }

  /** As by `kill -9`. */
  async kill(): Promise<void> {
    this.expectsEnd = true;
    this.port = undefined;
    this.child?.kill('SIGKILL');
    await this.exited;
  }

  /** Dies at the next write, once it is committed and before anyone is told. Resolves when it is dead. */
  async killBetweenCommitAndPublish(): Promise<void> {
    this.expectsEnd = true;
    this.child?.send('armed');
    await within(30_000, 'a write that kills its process', this.exited);
  }

  /** Has its processes replaced, as by `kill -HUP`. Resolves when the last of them is gone. */
  async roll(): Promise<void> {
    const pid = this.child!.pid!;
    const old = await childrenOf(pid);
    this.child!.kill('SIGHUP');
    await eventually(90_000, `${this.name} is rolled`, async () => {
      const pids = await childrenOf(pid);
      return pids.length === old.length && !pids.some((one) => old.includes(one));
    });
  }

  /** What another process on the same folder says when it is refused. Throws when it is not. */
  async refusalOfAnother(): Promise<string> {
    const other = new AppNode({ ...this.options, name: 'another' });
    try {
      await other.launch();
    } catch (error) {
      return String(error);
    }
    await other.kill();
    throw new Error('a second process was let into a folder that is in use');
  }

  private async launch(): Promise<void> {
    this.expectsEnd = false;
    const child = spawn(process.execPath, ['--import', './test/chaos/failpoint.js', 'dist/src/main.js'], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], NODE_NO_WARNINGS: '1', ...this.options.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child = child;
    this.exited = once(child, 'exit');
    createInterface(child.stderr!).on('line', (line) => this.log(line));
    const ready = new Promise<number>((resolve, reject) => {
      createInterface(child.stdout!).on('line', (line) => {
        const url = /^parley listening on (\S+)$/.exec(line)?.[1];
        if (url !== undefined) resolve(Number(new URL(url).port));
      });
      child.once('exit', (code, signal) => {
        if (this.port !== undefined && !this.expectsEnd)
          this.crashes.push(`${this.name}: ${code ?? signal}: ${this.lastLines.join(' ')}`);
        this.port = undefined;
        reject(new Error(`${this.name} ended with ${code ?? signal}: ${this.lastLines.at(-1) ?? ''}`));
      });
    });
    try {
      this.port = await within(40_000, `${this.name} is ready`, ready);
    } catch (error) {
      this.expectsEnd = true;
      child.kill('SIGKILL');
      await this.exited;
      throw error;
    }
  }

  private log(line: string): void {
    appendFileSync(this.options.logFile, `${line}\n`);
    this.lastLines = [...this.lastLines.slice(-4), line];
    let entry: { level?: number; msg?: string };
    try {
      entry = JSON.parse(line) as typeof entry;
    } catch {
      return;
    }
    if ((entry.level ?? 0) < 50) return;
    const message = entry.msg ?? 'without a message';
    this.errors.set(message, (this.errors.get(message) ?? 0) + 1);
  }
}

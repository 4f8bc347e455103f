import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The bytes are not what they seem, or more than is allowed: trying again would end the same way. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/** The program that read the bytes was killed: by its bounds, by a flaw, or by a machine without memory. It may go better the next time. */
export class BrokenOffError extends UnreadableError {}

/** The path of a program in one of the folders; undefined where none has it. */
const findProgram = (name: string, folders: readonly string[]): string | undefined =>
  folders.map((folder) => join(folder, name)).find(isExecutable);

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a program may use. Where the machine has no `prlimit`, memory and processor time are bounded by the time alone. */
export interface Bounds {
  /** Bytes of its own memory. */
  readonly memory: number;
  /** Seconds of processor time; undefined: for as long as it lives. */
  readonly cpuSeconds?: number;
}

/** Starts programs that read hostile bytes. */
export class Programs {
  private readonly nice: string | undefined;
  private readonly prlimit: string | undefined;

  /** `folders`: where programs are looked for. */
  constructor(private readonly folders: readonly string[]) {
    this.nice = this.find('nice');
    this.prlimit = this.find('prlimit');
  }

  find(name: string): string | undefined {
    return findProgram(name, this.folders);
  }

  /**
   * Starts a program: without a shell, in a process group of its own, after all others in the queue for the processor, with bounds, an empty
   * environment but `variables`, and as the first to go where memory runs out.
   */
  start(
    path: string,
    args: readonly string[],
    bounds: Bounds,
    { cwd, stdio, variables = {} }: { cwd?: string; stdio: StdioOptions; variables?: Record<string, string> },
  ): ChildProcess {
    const [command = path, ...rest] = [
      ...(this.nice === undefined ? [] : [this.nice, '-n', '10']),
      ...(this.prlimit === undefined ? [] : [this.prlimit, ...limitsOf(bounds), '--']),
      path,
      ...args,
    ];
    const child = spawn(command, rest, { detached: true, cwd, stdio, env: { LC_ALL: 'C', ...variables } });
    if (child.pid !== undefined) offerToKernel(child.pid);
    return child;
  }

  /**
   * Runs a program to its end and answers what it wrote to its standard output. Throws UnreadableError where it ends with another code than 0,
   * BrokenOffError where by a signal, after `ms`, or when it writes more than `maxOutput` bytes; the signal's reason where that is aborted; what
   * keeps it from starting.
   */
  async run(
    path: string,
    args: readonly string[],
    { bounds, cwd, ms, maxOutput, signal }: RunOptions,
  ): Promise<string> {
    signal.throwIfAborted();
    const child = this.start(path, args, bounds, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    let size = 0;
    let said = '';
    let why: string | undefined;
    const end = (reason: string): void => {
      why ??= reason;
      killGroup(child);
    };
    const abort = (): void => end('it was aborted');
    const timer = setTimeout(() => end(`it took more than ${String(ms)} ms`), ms);
    signal.addEventListener('abort', abort);
    try {
      await new Promise<void>((resolve, reject) => {
        child.stdout?.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxOutput) end(`it wrote more than ${String(maxOutput)} bytes`);
          else out.push(chunk);
        });
        child.stderr?.on('data', (chunk: Buffer) => {
          if (said.length < MAX_SAID) said += chunk.toString('latin1').slice(0, MAX_SAID - said.length);
        });
        child.once('error', reject);
        child.once('close', (code, killer) => {
          if (code === 0 && why === undefined) resolve();
          else if (why !== undefined || code === null)
            reject(new BrokenOffError(`${path}: ${why ?? killer ?? ''} ${said}`));
          else reject(new UnreadableError(`${path}: exit code ${String(code)} ${said}`));
        });
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
    return Buffer.concat(out).toString('utf8');
  }
}

export interface RunOptions {
  readonly bounds: Bounds;
  readonly cwd: string;
  /** Milliseconds. */
  readonly ms: number;
  /** Bytes. */
  readonly maxOutput: number;
  readonly signal: AbortSignal;
}

/** Characters that are kept of what a program says of its failure. */
const MAX_SAID = 500;

/** Ends a program and whatever it has started. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

const limitsOf = ({ memory, cpuSeconds }: Bounds): string[] => [
  `--data=${String(memory)}`,
  '--core=0',
  ...(cpuSeconds === undefined ? [] : [`--cpu=${String(cpuSeconds)}`]),
];

/** Where memory runs out the kernel takes this process rather than the server. */
function offerToKernel(pid: number): void {
  try {
    writeFileSync(`/proc/${String(pid)}/oom_score_adj`, '1000');
  } catch {
    // Not Linux, or it has ended already.
  }
}

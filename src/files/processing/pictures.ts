import type { ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FairQueue, type FairQueueLimits } from '../../async/fair-queue.js';
import { ParleyError } from '../../errors.js';
import { BrokenOffError, killGroup, UnreadableError, type Programs } from './program.js';
import type { PictureAnswer, PictureFacts, PictureTask } from './picture-task.js';
import type { KeptSpec } from './variant-spec.js';

/** Pictures that are decoded at once for those who wait for one, by whose pictures they are. */
export const VIEWED: FairQueueLimits = { places: 3, placesPerKey: 2, waiting: 512, waitingPerKey: 32 };
/** Those of jobs, which are few: none is refused. */
const OF_JOBS: FairQueueLimits = { places: 2, placesPerKey: 1, waiting: Infinity, waitingPerKey: Infinity };
/** Milliseconds that one may take. */
const TASK_MS = 20_000;
/** Milliseconds that a child waits for its next task before it ends. */
const IDLE_MS = 30_000;

/** Bytes of memory that a child may have: its own, and what the largest picture takes while it is decoded. */
const memoryFor = (maxPixels: number): number => 512 * 1024 * 1024 + 12 * maxPixels;

/** This machine has no library for pictures. */
class PicturesAwayError extends Error {
  override readonly name = 'PicturesAwayError';
}

/** A picture that lies in a file, and the user whose share of the decoders it takes. */
export interface OwnedPicture {
  readonly source: string;
  readonly ownerId: string;
}

/** Makes a variant of the picture in the file `source`, to the file `target`. */
export type MakeVariant = (source: string, target: string, spec: KeptSpec) => Promise<void>;

/** How long a child has, and waits. */
export interface PictureTimes {
  readonly taskMs: number;
  readonly idleMs: number;
}

/**
 * Decodes pictures in child processes, a bounded number at once; they are started when they are needed, and end when nobody needs them. Everything
 * throws UnreadableError for a picture that cannot be decoded within its bounds, and PicturesAwayError.
 */
export class Pictures {
  private readonly idle: Child[] = [];
  private readonly children = new Set<Child>();
  /** Apart, so that no preview that someone looks at waits for one that nobody has seen yet. */
  private readonly viewed = new FairQueue(VIEWED, tooMany);
  private readonly jobs = new FairQueue(OF_JOBS, tooMany);
  private closed = false;

  constructor(
    private readonly deps: { readonly programs: Programs; readonly maxPixels: number },
    private readonly times: PictureTimes = { taskMs: TASK_MS, idleMs: IDLE_MS },
  ) {}

  /** What is known of the picture in a file. */
  async facts({ source, ownerId }: OwnedPicture, signal?: AbortSignal): Promise<PictureFacts> {
    const work = () => this.ask({ kind: 'facts', source, ...this.bound }, signal);
    const answer = await this.jobs.run(ownerId, work);
    if (answer.kind !== 'facts') throw new Error(`the answer to facts is ${answer.kind}`);
    return answer.facts;
  }

  /** Writes a poster to the file `target`. */
  async poster({ source, ownerId }: OwnedPicture, target: string, signal?: AbortSignal): Promise<void> {
    const work = () => this.ask({ kind: 'poster', source, target, ...this.bound }, signal);
    await this.jobs.run(ownerId, work);
  }

  /**
   * Waits for a turn of the owner in which `work` makes a variant: what it needs for that, a file on the disk, is bounded with it. Throws UNAVAILABLE
   * with `retryAfter` when too many of their pictures wait.
   */
  async inTurn<T>(ownerId: string, work: (make: MakeVariant) => Promise<T>): Promise<T> {
    const make: MakeVariant = async (source, target, spec) => {
      await this.ask({ kind: 'variant', source, target, spec, ...this.bound }, undefined);
    };
    return this.viewed.run(ownerId, () => work(make));
  }

  /** Ends all children, and with them what they are at. */
  close(): void {
    this.closed = true;
    for (const child of this.children) child.end();
  }

  private get bound(): { readonly maxPixels: number } {
    return { maxPixels: this.deps.maxPixels };
  }

  private async ask(task: PictureTask, signal: AbortSignal | undefined): Promise<PictureAnswer> {
    signal?.throwIfAborted();
    if (this.closed) throw new Error('the process stops');
    const child = this.idle.pop() ?? this.start();
    const abort = (): void => child.end();
    signal?.addEventListener('abort', abort);
    try {
      const answer = await child.ask(task, this.times.taskMs);
      if (answer.kind === 'unreadable') throw new UnreadableError(answer.message);
      if (answer.kind === 'away') throw new PicturesAwayError(answer.message);
      if (answer.kind === 'failed') throw new Error(answer.message);
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      if (child.isAlive) {
        this.idle.push(child);
        child.rest(this.times.idleMs);
      }
    }
  }

  private start(): Child {
    const memory = memoryFor(this.deps.maxPixels);
    const child: Child = new Child(this.deps.programs, memory, () => {
      this.children.delete(child);
      const at = this.idle.indexOf(child);
      if (at !== -1) this.idle.splice(at, 1);
    });
    this.children.add(child);
    return child;
  }
}

const tooMany = (): ParleyError =>
  new ParleyError('UNAVAILABLE', 'Too many images are being resized: try again.', { retryAfter: 2 });

/** The child's program beside this module: a source where this is one, a bundle where this is in one. */
const extension = extname(import.meta.url);
const PROGRAM = fileURLToPath(new URL(`picture-child${extension}`, import.meta.url));
const NODE_ARGS = extension === '.ts' ? ['--import', import.meta.resolve('tsx'), PROGRAM] : [PROGRAM];

/** One process, with one task at a time. */
class Child {
  private readonly process: ChildProcess;
  private timer: NodeJS.Timeout | undefined;
  private settle: ((answer: PictureAnswer | Error) => void) | undefined;
  isAlive = true;

  constructor(programs: Programs, memory: number, onEnd: () => void) {
    this.process = programs.start(
      process.execPath,
      NODE_ARGS,
      { memory },
      // Standard error is where a library that crashes says so: to nobody.
      { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], variables: { MALLOC_ARENA_MAX: '2' } },
    );
    const ended = (error: Error): void => {
      if (!this.isAlive) return;
      this.isAlive = false;
      clearTimeout(this.timer);
      onEnd();
      this.settle?.(error);
    };
    this.process.on('message', (answer: PictureAnswer) => this.settle?.(answer));
    this.process.once('error', ended);
    this.process.once('exit', (code, signal) => {
      ended(new BrokenOffError(`the process that decoded it ended: ${signal ?? String(code)}`));
    });
    // A child that rests keeps no process alive.
    this.process.unref();
    this.process.channel?.unref();
  }

  /** Rejects with BrokenOffError when the process ends, or is ended after `ms`. */
  async ask(task: PictureTask, ms: number): Promise<PictureAnswer> {
    clearTimeout(this.timer);
    this.process.channel?.ref();
    const answered = new Promise<PictureAnswer>((resolve, reject) => {
      this.settle = (answer) => (answer instanceof Error ? reject(answer) : resolve(answer));
    });
    this.timer = setTimeout(() => this.end(), ms);
    this.process.send(task, (error) => {
      if (error !== null) this.settle?.(error);
    });
    try {
      return await answered;
    } finally {
      this.settle = undefined;
      clearTimeout(this.timer);
      this.process.channel?.unref();
    }
  }

  /** Ends it after so long without a task. */
  rest(ms: number): void {
    this.timer = setTimeout(() => this.end(), ms);
    this.timer.unref();
  }

  end(): void {
    killGroup(this.process);
  }
}

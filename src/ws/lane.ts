import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { limits } from '../graphql/limits.js';
import type { Batch } from '../live/sink.js';
import { counts } from '../observability/counts.js';
import { framesOf, messageOf } from './frames.js';

/** Bytes that may wait for a connection before its subscriptions stop reading. */
const BACKLOG_BYTES = 64 * 1024;

/** Lanes that have written in this turn of the event loop. */
const written = new Set<Lane>();

/**
 * Everything that leaves on one socket, in the order in which it is given: whole frames go to the connection itself, beside those
 * that ws writes. What a second and a third operation send in one turn of the event loop leaves in one write. Where messages
 * are compressed ws has to make the frames.
 */
export class Lane {
  private corked = false;
  private waiting: Promise<void> | undefined;
  /** Whether ws compresses what it sends; and when it has sent the last of it. */
  private readonly isCompressed: boolean;
  private compressed: Promise<void> = Promise.resolve();

  /** `connection` is that of `ws`, which is open. */
  constructor(
    private readonly ws: WebSocket,
    private readonly connection: Socket,
  ) {
    this.isCompressed = ws.extensions !== '';
  }

  /** Whether the connection takes what it is given, so that subscriptions read on. One that is gone takes everything. */
  get isReady(): boolean {
    return !this.isOpen || this.waitingBytes < BACKLOG_BYTES;
  }

  private get isOpen(): boolean {
    return this.ws.readyState === this.ws.OPEN && !this.connection.destroyed;
  }

  get isEmpty(): boolean {
    return this.waitingBytes === 0;
  }

  /** Resets a connection for which more waits than it may. */
  private overflows(): boolean {
    if (this.waitingBytes <= limits.waitingBytes) return false;
    counts.cut.ws_slow += 1;
    this.connection.resetAndDestroy();
    return true;
  }

  private get waitingBytes(): number {
    return this.isCompressed ? this.ws.bufferedAmount : this.connection.writableLength;
  }

  /** Resolves once the connection has taken everything, or is gone. */
  ready(): Promise<void> {
    // Never at once, or one who looks again until it is ready would let nothing else happen.
    if (this.isCompressed) return this.compressed.then(() => nextTurn());
    this.waiting ??= new Promise<void>((resolve) => {
      const done = (): void => {
        this.waiting = undefined;
        this.connection.off('drain', done).off('close', done);
        resolve();
      };
      // More than its high-water mark is waiting, so `drain` will come.
      this.connection.once('drain', done).once('close', done);
      if (this.connection.destroyed) done();
    });
    return this.waiting;
  }

  /** A message of the protocol. Calls `done` once the system has taken it, or with an error when it never will. */
  send(text: string, done: (error?: Error | null) => void): void {
    if (this.overflows()) {
      done(new Error('the connection has overflowed'));
      return;
    }
    this.gather();
    if (this.isCompressed) this.compress(text, done);
    else this.ws.send(text, done);
  }

  /** The answers to an operation; `id` is its id as it stands in JSON, quotes left out. */
  sendBatch(batch: Batch, id: string): void {
    if (!this.isOpen || this.overflows()) return;
    if (this.isCompressed) {
      for (const answer of batch.answers) this.compress(messageOf(answer, id));
      return;
    }
    this.gather();
    const length = Buffer.byteLength(id);
    const frames = batch.form(`frames ${length}`, (answers) => framesOf(answers, length));
    for (const place of frames.places) frames.bytes.write(id, place);
    this.connection.write(frames.bytes);
    // What the system has not taken yet belongs to the connection; the next one gets bytes of its own.
    if (this.connection.writableLength > 0) frames.bytes = Buffer.from(frames.bytes);
  }

  private compress(text: string, done?: (error?: Error | null) => void): void {
    this.compressed = new Promise((resolve) => {
      this.ws.send(text, (error) => {
        resolve();
        done?.(error);
      });
    });
  }

  /** Lets everything out that was gathered. */
  flush(): void {
    if (!this.corked) return;
    this.corked = false;
    this.connection.uncork();
  }

  /** The first write of a turn goes out at once; those that follow it are held back to its end, to leave together. */
  private gather(): void {
    if (!written.has(this)) {
      if (written.size === 0) setImmediate(endTurn);
      written.add(this);
    } else if (!this.corked) {
      this.corked = true;
      this.connection.cork();
    }
  }
}

function endTurn(): void {
  for (const lane of written) lane.flush();
  written.clear();
}

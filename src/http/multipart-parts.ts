import type { Readable } from 'node:stream';
import type { ParleyError } from '../errors.js';
import { chunksOf } from '../files/chunks.js';
import { incomplete, IncomingFile, type ArrivedFile } from '../files/incoming-file.js';

/** What may be thrown away to get at what follows. */
export interface SkipLimits {
  /** Bytes of a request that nobody asked for, all parts together. */
  readonly unreadBytes: number;
  /** Milliseconds that one such part may take. */
  readonly unreadMs: number;
  /** Bytes of one part whose reader refused it: as many as it might have read. */
  readonly refusedBytes: number;
}

/** Milliseconds that a part may stand in the way of another before it counts as one that nobody asks for. */
const PATIENCE_MS = 100;

/** What the parser tells of a part. */
export interface PartInfo {
  readonly filename: string | undefined;
  readonly mimeType: string;
}

/**
 * `expected` until it arrives; `here` until it is asked for; `reading` while its reader works; `left` when the reader was done
 * before the end; `over` when its last byte was read or thrown away; `passed` when it was thrown away unasked.
 */
type State = 'expected' | 'here' | 'reading' | 'left' | 'over' | 'passed';

interface Part {
  state: State;
  arrived?: { readonly stream: Readable; readonly info: PartInfo };
  /** The map does not name it, so that nobody will ask for it. */
  readonly isStranger?: true;
  /** Whoever waits for it. */
  waiting?: { resolve: (file: ArrivedFile) => void; reject: (error: ParleyError) => void };
}

/**
 * The file parts of one request, in the order in which they arrive, whatever order they are asked for in. One that stands
 * in the way of one that is asked for is thrown away, within limits; beyond them `cut` is called once and all fail.
 */
export class PartQueue {
  private readonly parts: Map<string, Part>;
  private current: Part | undefined;
  private skipping: { bytesLeft: number; readonly timer: NodeJS.Timeout | undefined } | undefined;
  private patience: NodeJS.Timeout | undefined;
  private unreadLeft: number;
  private ended: ParleyError | undefined;

  constructor(
    names: Iterable<string>,
    private readonly limits: SkipLimits,
    private readonly cut: () => void,
  ) {
    this.parts = new Map(Array.from(names, (name) => [name, { state: 'expected' }]));
    this.unreadLeft = limits.unreadBytes;
  }

  /** The part as a service takes it. */
  fileOf(name: string): IncomingFile {
    const part = this.parts.get(name);
    if (part === undefined) throw new Error(`no part ${name} was announced`);
    return new IncomingFile(async (work) => {
      const file = await this.ask(part);
      try {
        return await work(file);
      } finally {
        this.leave(part);
      }
    });
  }

  /** Whether all parts were read, or thrown away, to their ends. */
  get isDone(): boolean {
    return (
      this.current === undefined &&
      [...this.parts.values()].every(({ state }) => state === 'over' || state === 'passed')
    );
  }

  /** Whether a part of this name is still to come. */
  expects(name: string): boolean {
    return this.parts.get(name)?.state === 'expected';
  }

  /** A part begins. Those that the map does not name, or that came already, are in the way of the rest like any unread one. */
  arrive(name: string, stream: Readable, info: PartInfo): void {
    // Errors reach whoever reads; with nobody there they are no news.
    stream.on('error', () => undefined);
    const known = this.expects(name) ? this.parts.get(name) : undefined;
    const part: Part = known ?? { state: 'expected', isStranger: true };
    part.state = 'here';
    part.arrived = { stream, info };
    this.current = part;
    stream.once('end', () => this.endOf(part));
    this.hand(part);
    this.advance();
  }

  /** Counts bytes of the request, to keep what nobody reads within its limit. */
  count(bytes: number): void {
    if (this.skipping === undefined) return;
    this.skipping.bytesLeft -= bytes;
    if (this.current?.state !== 'left') this.unreadLeft -= bytes;
    if (this.skipping.bytesLeft < 0) this.giveUp();
  }

  /** Nothing comes any more, so whoever still waits gets `error`. */
  end(error: ParleyError): void {
    this.ended ??= error;
    this.stopSkipping();
    clearTimeout(this.patience);
    for (const part of this.parts.values()) part.waiting?.reject(this.ended);
  }

  private async ask(part: Part): Promise<ArrivedFile> {
    return new Promise((resolve, reject) => {
      if (part.state === 'passed') reject(passedOver());
      else if (this.ended !== undefined) reject(this.ended);
      else {
        part.waiting = { resolve, reject };
        this.hand(part);
        this.advance();
      }
    });
  }

  /** Gives the part to whoever waits for it, if it is here. */
  private hand(part: Part): void {
    if (part.waiting === undefined || part.arrived === undefined || part.state !== 'here') return;
    const { stream, info } = part.arrived;
    part.state = 'reading';
    part.waiting.resolve({ name: nameOf(info), claimedType: info.mimeType, bytes: read(stream) });
    delete part.waiting;
  }

  private leave(part: Part): void {
    if (part.state === 'reading') part.state = 'left';
    this.advance();
  }

  private endOf(part: Part): void {
    if (part.state !== 'passed') part.state = 'over';
    if (this.current === part) this.current = undefined;
    this.stopSkipping();
  }

  /** Throws the current part away when it is in the way of one that is waited for. */
  private advance(): void {
    const { current } = this;
    if (current?.arrived === undefined || this.skipping !== undefined || !this.someoneWaits()) return;
    if (current.state === 'left') {
      this.skipping = { bytesLeft: this.limits.refusedBytes, timer: undefined };
      current.arrived.stream.resume();
    } else if (current.state === 'here' && current.isStranger) {
      this.passOver(current);
    } else if (current.state === 'here') {
      // Whoever asks for several files asks for this one too in a moment.
      this.patience ??= setTimeout(() => {
        this.patience = undefined;
        if (this.current?.state === 'here' && this.someoneWaits()) this.passOver(this.current);
      }, PATIENCE_MS);
    }
  }

  private passOver(part: Part): void {
    part.state = 'passed';
    this.skipping = {
      bytesLeft: this.unreadLeft,
      timer: setTimeout(() => this.giveUp(), this.limits.unreadMs),
    };
    part.arrived?.stream.resume();
  }

  private someoneWaits(): boolean {
    return this.ended === undefined && [...this.parts.values()].some((part) => part.waiting !== undefined);
  }

  private stopSkipping(): void {
    clearTimeout(this.skipping?.timer);
    this.skipping = undefined;
  }

  private giveUp(): void {
    this.end(
      incomplete(
        'This file was not read, since the one before it was not needed: send each file in a request of its own.',
      ),
    );
    this.cut();
  }
}

async function* read(stream: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    // A reader that stops leaves the stream as it is: destroyed, it would hold up the parser for good.
    yield* chunksOf(stream);
  } catch (error) {
    throw incomplete('The file was cut off: send it again.', error);
  }
}

/** Browsers write a quote and line breaks so (HTML, multipart/form-data encoding), and no other character. */
const nameOf = ({ filename = '' }: PartInfo): string =>
  filename.replace(/%(22|0A|0D)/gi, (_match, code: string) => String.fromCharCode(parseInt(code, 16)));

const passedOver = (): ParleyError =>
  incomplete(
    'This file was skipped, since one that was sent after it was needed first: send the files in the order in which ' +
      'the operation uses them.',
  );

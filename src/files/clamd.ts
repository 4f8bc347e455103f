import { connect, type Socket } from 'node:net';
import { inTime } from '../async/timeout.js';
import type { ScannerPlace } from '../config/config.js';

/** Milliseconds for a connection. */
const CONNECT_MS = 5000;
/** Milliseconds for the answer to a ping. */
const PING_MS = 2000;
/** Characters of the longest answer that is taken for one. */
const MAX_ANSWER = 4096;

/** ClamAV's daemon, which scans what is streamed to it. Every connection is made for one command, and is gone after it. */
export class Clamd {
  constructor(private readonly place: ScannerPlace) {}

  /** Rejects when it does not answer, or is no clamd. */
  async ping(): Promise<void> {
    const connection = new Connection({ ...this.place, timeoutMs: Math.min(PING_MS, this.place.timeoutMs) });
    try {
      await connection.send(Buffer.from('zPING\0'));
      const answer = await connection.answer();
      if (answer !== 'PONG') throw new Error(`clamd answers ${JSON.stringify(answer)} to PING`);
    } finally {
      connection.close();
    }
  }

  /** Begins to scan a stream. `close` must follow. */
  scan(): ClamdScan {
    return new ClamdScan(new Connection(this.place));
  }
}

/**
 * One stream on its way to clamd (INSTREAM). It is gathered there in a file, and scanned when it is whole, so the verdict comes
 * behind the last byte. https://docs.clamav.net/manual/Usage/Scanning.html#clamd
 */
export class ClamdScan {
  private isBegun = false;

  constructor(private readonly connection: Connection) {}

  /** Resolves when the bytes are on their way, and their memory is not read any more; rejects when it cannot any more, or has said something too soon. */
  async take(bytes: Uint8Array): Promise<void> {
    // A chunk without bytes would end the stream.
    if (bytes.length > 0) await this.connection.send(...this.begun(), sizeOf(bytes.length), bytes);
    this.connection.assertSilent();
  }

  /** Ends the stream and waits for what clamd says of it, such as `stream: OK`. Rejects when it says nothing in time. */
  async verdict(): Promise<string> {
    await this.connection.send(...this.begun(), sizeOf(0));
    return this.connection.answer();
  }

  close(): void {
    this.connection.close();
  }

  private begun(): Buffer[] {
    if (this.isBegun) return [];
    this.isBegun = true;
    return [Buffer.from('zINSTREAM\0')];
  }
}

function sizeOf(bytes: number): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes);
  return size;
}

/** A connection for one command and its answer. Whatever it waits for is given the scanner's time, and no more. */
class Connection {
  private readonly socket: Socket;
  private isConnected = false;
  /** The answer, up to its end; rejects when the connection breaks before that. */
  private readonly answered: Promise<string>;
  /** As it has come, whether anybody waits for it or not. */
  private early: string | undefined;
  private failure: unknown;
  /** Wakes whoever waits for something else than the answer. */
  private interrupt = (): void => undefined;

  constructor(private readonly place: ScannerPlace) {
    const socket = connect(place.at);
    this.socket = socket;
    this.answered = new Promise((resolve, reject) => {
      let text = '';
      socket.setEncoding('latin1');
      socket.on('data', (data: string) => {
        text += data;
        const end = /[\0\n]/.exec(text)?.index;
        if (end !== undefined) resolve((this.early ??= text.slice(0, end)));
        else if (text.length > MAX_ANSWER) reject(new Error('clamd does not come to an end'));
      });
      socket.on('error', reject);
      socket.on('close', () => {
        reject(new Error('clamd closed the connection without an answer'));
      });
    });
    // Whoever waits is told; at other times the next step is.
    this.answered.then(
      () => {
        this.interrupt();
      },
      (error: unknown) => {
        this.failure = error;
        this.interrupt();
      },
    );
  }

  /** Resolves when the system has taken all, or there is an answer before that. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    const { socket } = this;
    if (!this.isConnected) {
      const ms = Math.min(CONNECT_MS, this.place.timeoutMs);
      await this.orBroken((connected) => socket.once('connect', connected), ms, 'clamd takes no connection');
      this.isConnected = true;
    }
    this.assertSilent();
    await this.orBroken(
      (taken) => {
        socket.cork();
        // What fails is told by the answer that does not come.
        parts.forEach((part, i) => socket.write(part, i === parts.length - 1 ? taken : undefined));
        socket.uncork();
      },
      this.place.timeoutMs,
      'clamd takes no more',
    );
  }

  /** Throws when there is an answer, which is too soon for whoever has not come to the end. */
  assertSilent(): void {
    if (this.early !== undefined) throw new Error(`clamd said ${JSON.stringify(this.early)} before the end`);
  }

  answer(): Promise<string> {
    return inTime(this.answered, this.place.timeoutMs, 'clamd does not answer');
  }

  close(): void {
    this.socket.destroy();
  }

  /** Waits until what `begin` begins calls it back, or for an answer that comes instead of it: whoever goes on is told then. */
  private async orBroken(begin: (done: () => void) => void, ms: number, otherwise: string): Promise<void> {
    const either = new Promise<void>((resolve) => {
      this.interrupt = resolve;
      begin(resolve);
      if (this.early !== undefined || this.failure !== undefined) resolve();
    });
    await inTime(either, ms, otherwise);
    if (this.failure !== undefined) throw new Error(otherwise, { cause: this.failure });
  }
}

import { Duplex } from 'node:stream';
import type { SingleSession } from './single-session.js';

/** AuthenticationOk, then ReadyForQuery (idle): the answer to a startup message. There is nobody to keep out. */
const WELCOME = Buffer.of(0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49);
const TERMINATE = 0x58;

interface Chunk {
  readonly chunk: Buffer;
}

/**
 * What pg takes for its TCP socket: a Postgres connection that leads into this process. It is open from the moment the
 * session is its own until it is closed, and hands the session back clean, whatever it was doing.
 *
 * PGlite's own adapter (`@electric-sql/pglite/node-postgres`) is one connection object that all clients of a pool share:
 * after a failed `pool.query` the next client got the rest of the answer to the last one ("Connection terminated
 * unexpectedly", results of another query). Here every client has a connection of its own.
 */
export class PgliteSocket extends Duplex {
  readonly #session: SingleSession;
  #entered: Promise<() => Promise<void>> | undefined;
  #welcomed = false;

  constructor(session: SingleSession) {
    super({ allowHalfOpen: false });
    this.#session = session;
  }

  /** As net.Socket's; the address means nothing. */
  connect(): this {
    this.#entered = this.#session.enter();
    this.#entered.then(
      () => this.destroyed || this.emit('connect'),
      (error: unknown) => this.destroy(error as Error),
    );
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _read(): void {
    // Answers are pushed as they come; Postgres has them whole in memory anyway.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send([chunk]).then(() => done(), done);
  }

  /** pg corks the messages of a prepared statement, so that they come here and go to Postgres as one. */
  override _writev(chunks: Chunk[], done: (error?: Error | null) => void): void {
    this.#send(chunks.map(({ chunk }) => chunk)).then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#entered === undefined) {
      done(error);
      return;
    }
    this.#entered
      .then((leave) => leave())
      .then(
        () => done(error),
        (reason: unknown) => done(error ?? (reason as Error)),
      );
  }

  /** `messages`: whole ones, which is how pg writes them. */
  async #send(messages: readonly Buffer[]): Promise<void> {
    let rest = messages;
    if (!this.#welcomed && rest.length > 0) {
      this.#welcomed = true;
      this.push(WELCOME);
      rest = rest.slice(1);
    }
    // Postgres would end itself on this one, and with it the database. The end of the stream says the same.
    const end = rest.findIndex((message) => message[0] === TERMINATE);
    if (end >= 0) rest = rest.slice(0, end);

    if (rest.length > 0) {
      const answer = await this.#session.run(Buffer.concat(rest));
      if (!this.destroyed) this.push(answer);
      await this.#session.checkpointWhenDue();
    }
    if (end >= 0) this.push(null);
  }
}

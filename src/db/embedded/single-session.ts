import { setImmediate as nextTurn } from 'node:timers/promises';
import type { PGlite } from '@electric-sql/pglite';

/** Frontend messages of the Postgres protocol. */
const SYNC = Uint8Array.of(0x53, 0, 0, 0, 4);

/** What a server says that is shutting down: ErrorResponse, then ReadyForQuery (idle). */
const CLOSED = Buffer.concat([
  message('E', 'SFATAL\0VFATAL\0C57P01\0Mthe embedded database is closed\0\0'),
  message('Z', 'I'),
]);

/** How far the log may run ahead of the last checkpoint, in bytes: about a tenth of a second of recovery. */
const CHECKPOINT_AFTER = 16 * 1024 * 1024;
/** Messages between two looks at the above. */
const LOOK_EVERY = 200;

/**
 * The one session that a PGlite has, lent to one client after the other.
 * Guarantees: a client has it from `enter` to `leave` with nobody in between, so that transactions never mix; the next
 * finds no transaction, prepared statement, setting or advisory lock of the one before.
 */
export class SingleSession {
  #last: Promise<void> = Promise.resolve();
  #messages = 0;

  constructor(
    private readonly pglite: PGlite,
    private readonly log: (line: string) => void,
  ) {}

  /** Waits until everyone who asked before has left. Resolves to `leave`, which must be called, once. */
  async enter(): Promise<() => Promise<void>> {
    const before = this.#last;
    let leave!: () => void;
    this.#last = new Promise((resolve) => (leave = resolve));
    await before;
    return async () => {
      try {
        await this.#reset();
      } finally {
        leave();
      }
    };
  }

  /**
   * Runs whole messages of the frontend protocol and returns the backend's answer. Postgres runs on this thread: nothing
   * else does until it is done. One call a turn of the event loop, so that a burst of queries cannot starve sockets.
   * Errors are part of the answer, 57P01 (admin shutdown) after the database was closed.
   */
  async run(messages: Uint8Array): Promise<Buffer> {
    await nextTurn();
    if (!this.pglite.ready) return CLOSED;
    return this.pglite.runExclusive(async () => {
      const answer: Buffer[] = [];
      await this.pglite.execProtocolRawStream(messages, {
        syncToFs: false,
        // A view of the database's memory, which the next message overwrites.
        onRawData: (bytes) => answer.push(Buffer.from(bytes)),
      });
      return Buffer.concat(answer);
    });
  }

  /**
   * Writes a checkpoint when it is time. Postgres leaves that to a background process, which PGlite has not: the log
   * would grow without end, and a start after a crash would replay all of it. Never throws: what failed (a full disk)
   * is logged and tried again later.
   */
  async checkpointWhenDue(): Promise<void> {
    if (++this.#messages % LOOK_EVERY !== 0 || !this.pglite.ready || this.pglite.isInTransaction()) return;
    try {
      const { rows } = await this.pglite.query<{ ahead: number }>(
        'select pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::float8 as ahead from pg_control_checkpoint()',
      );
      if ((rows[0]?.ahead ?? 0) > CHECKPOINT_AFTER) await this.pglite.exec('checkpoint');
    } catch (error) {
      this.log(`checkpoint failed: ${String(error)}`);
    }
  }

  async #reset(): Promise<void> {
    if (!this.pglite.ready) return;
    await this.run(SYNC);
    if (this.pglite.isInTransaction()) await this.pglite.exec('rollback');
    await this.pglite.exec('discard all');
  }
}

function message(type: string, body: string): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeInt32BE(4 + body.length, 1);
  bytes.write(body, 5, 'latin1');
  return bytes;
}

import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { SilenceError } from '../../async/timeout.js';
import { ParleyError } from '../../errors.js';

/**
 * Where the bytes of files lie, under random keys. Guarantees of every implementation:
 * - `write` is atomic: after it resolves the key names all the bytes, durably; before, and for good when it rejects or
 *   is aborted, the key names nothing. What a killed process leaves behind, `delete` of the same key removes.
 * - A key is written once, which its randomness sees to, so whatever `read` yields is one file's bytes.
 * - Memory stays flat, whatever the size, in both directions.
 * Serving lists nothing and searches nothing: what exists is known from the database alone.
 */
export interface Storage {
  /**
   * A chunk of `bytes` belongs to the storage from when it was given it, which lets go of its memory: nothing else may read it then. Rejects with
   * UNAVAILABLE when there is no room left, with the source's own error when that breaks off, and with the
   * signal's reason at the first bytes that come after an abort.
   */
  write(key: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** All the bytes; undefined where the key names nothing. */
  read(key: string): Promise<Readable | undefined>;
  /**
   * Makes all the bytes a file at `path`, where none is, for programs that read: it may be the very file that the storage has. Answers false where the key
   * names nothing. An abort rejects with the signal's reason.
   */
  layDown(key: string, path: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * Sends the bytes from `start` to `end`, both inclusive, or all of them, as fast as they are taken. `begin` is called once they are known
   * to be there, says where to, and what it answers is not ended; a chunk is that one's only until it says that it was taken. Answers how many were sent: fewer than asked for where there are no
   * more, or where that was closed; undefined where the key names nothing. Rejects when they cannot be read on.
   */
  send(key: string, range: ByteRange | undefined, begin: () => Writable): Promise<number | undefined>;
  /** Bytes under the key; undefined where it names nothing. */
  size(key: string): Promise<number | undefined>;
  /** Resolves once the key names nothing, also when it never did. Reads that have begun may go on. */
  delete(key: string): Promise<void>;
  /** Every key that names bytes or half of them, some perhaps twice, in no order: for looking after what the database does not know. */
  list(): AsyncIterable<string>;
  /** Rejects when nothing can be written now. Cheap, but not free: whoever asks often remembers the answer. */
  check(): Promise<void>;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A key for new bytes: 128 random bits, hex. It tells nothing of the file. */
export const newStorageKey = (): string => randomBytes(16).toString('hex');

/** Whether a text is one. No such text names a place elsewhere. */
export const isStorageKey = (text: string): boolean => /^[0-9a-f]{32}$/.test(text);

/** Throws for what is no storage key: a defect. */
export function assertStorageKey(text: string): void {
  if (!isStorageKey(text)) throw new Error(`${JSON.stringify(text)} is no storage key`);
}

/** What an answer with the bytes is to say of them, header by header. */
export interface SaidOfBytes {
  readonly contentType: string;
  readonly contentDisposition: string;
  readonly cacheControl: string;
}

/** A store has not answered: what it is asked next would only wait as long again. */
export class SilentStoreError extends SilenceError {}

/** Whether it is one, or says so to a client. */
export const isSilent = (error: unknown): boolean =>
  error instanceof SilentStoreError ||
  (error instanceof ParleyError && error.cause instanceof SilentStoreError);

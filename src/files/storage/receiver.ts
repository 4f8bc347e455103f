import type { UploadPartRow, UploadSessionRow } from '../../db/tables.js';

/** Bytes that were received of an upload and are durable: in a bucket a part, on disk a piece under a key of its own. */
export type ReceivedPart = Omit<UploadPartRow, 'upload_id'>;

/** An upload over several requests, as far as storage is concerned. */
export type Receiving = Pick<
  UploadSessionRow,
  'storage_key' | 'size' | 'received' | 'multipart_id' | 'tail_key' | 'next_part'
>;

/** What became durable. */
export interface Progress {
  /** All bytes, from the first one of the upload on. */
  readonly received: number;
  /** New parts, and those that have grown. */
  readonly parts?: readonly ReceivedPart[];
  readonly multipart_id?: string;
  /** The tail from now on; the one before is deleted. */
  readonly tail_key?: string | null;
}

/**
 * Where a writer keeps its books, under a lock that only one writer has. Each of these rejects once another one has it, or the upload is over;
 * then nothing was written down, and the writer must stop.
 */
export interface Ledger {
  /** Leases a key, before the first byte is written under it. */
  lease(storageKey: string): Promise<void>;
  /** A number for a part that no writer has had. */
  reservePart(): Promise<number>;
  /** Writes down what is durable. */
  commit(progress: Progress): Promise<void>;
}

/** Bytes of one request. */
export interface Incoming {
  /** Taken as Storage.write takes them. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Says behind the last byte whether they count. Undefined: each of them does, as soon as it is durable. */
  readonly verify: (() => boolean) | undefined;
}

/**
 * Takes in what comes over several requests, to one process after the other. Guarantees of every implementation:
 * - What the ledger has is durable, and never changes: a writer that lost its lock can reach no byte of it.
 * - Whatever ends the bytes of a request, what came of them is kept, unless they are to be verified: then all or none.
 * - Memory stays flat.
 */
export interface Receiver {
  /**
   * Writes behind what was received. Answers what is received now; rejects with what broke the bytes off, after what had come was kept, and with
   * UNAVAILABLE when storage takes no more. What is not to count rejects with WrongChecksumError.
   */
  receive(
    upload: Receiving,
    last: ReceivedPart | undefined,
    ledger: Ledger,
    incoming: Incoming,
  ): Promise<number>;
  /**
   * Makes the bytes of a complete upload one object, without sending them anew. Answers its key; undefined where they lie in several pieces,
   * which `read` gives. May be called again after a crash. Throws MissingBytesError.
   */
  join(upload: Receiving, parts: readonly ReceivedPart[]): Promise<string | undefined>;
  /** The bytes of the pieces. */
  read(parts: readonly ReceivedPart[]): AsyncIterable<Uint8Array>;
}

/** The bytes of a request are not those that its checksum was made of. */
export class WrongChecksumError extends Error {
  override readonly name = 'WrongChecksumError';
}

/** What was received is not there any more, or is not what was announced. */
export class MissingBytesError extends Error {
  override readonly name = 'MissingBytesError';
}

import { ParleyError } from '../errors.js';

/** A file whose bytes have begun to arrive. */
export interface ArrivedFile {
  /** As the client called it: not safe yet (file-name.ts). */
  readonly name: string;
  /** As the client claims: proves nothing (media-type.ts). */
  readonly claimedType: string;
  /**
   * The bytes, read as fast as they are taken, once. A file that breaks off throws UPLOAD_INCOMPLETE: an end that comes
   * without an error is the true end.
   */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Waits for the file, hands it to `work`, and is done with it when `work` has settled, read to its end or not. */
export type ReceiveFile = <T>(work: (file: ArrivedFile) => Promise<T>) => Promise<T>;

/**
 * A file that a request announces: the value of the Upload scalar. Not a byte of it is read before it is asked for, so that
 * whoever may not upload costs nothing.
 */
export class IncomingFile {
  private asked = false;

  /** `receiver` is called once at most. */
  constructor(private readonly receiver: ReceiveFile) {}

  /**
   * Asks for the file. The files of one request arrive one after the other, in the order in which they were sent: ask for
   * all that are wanted before waiting for one. Throws UPLOAD_INCOMPLETE when it does not arrive, and what `work` throws.
   */
  async receive<T>(work: (file: ArrivedFile) => Promise<T>): Promise<T> {
    if (this.asked)
      throw incomplete('This file was already used: to use a file in two places, send it twice.');
    this.asked = true;
    return this.receiver(work);
  }
}

/** The bytes did not all arrive. The message says what the client can do. */
export const incomplete = (message: string, cause?: unknown): ParleyError =>
  new ParleyError('UPLOAD_INCOMPLETE', message, {}, cause === undefined ? undefined : { cause });

import { createHash } from 'node:crypto';
import type { FileRow } from '../db/tables.js';

/** What the database knows of the bytes of a file. */
export type StoredRow = Pick<FileRow, 'id' | 'storage_key' | 'size' | 'sha256'>;

/** The same bytes; throws behind the last one when they are not what the row says. */
export async function* verified(
  bytes: AsyncIterable<Uint8Array>,
  { size, sha256 }: StoredRow,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let seen = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    seen += chunk.length;
    yield chunk;
  }
  if (seen !== size || hash.digest('hex') !== sha256) throw new WrongBytesError();
}

/** Bytes that are not those that were taken in. */
export class WrongBytesError extends Error {
  override readonly name = 'WrongBytesError';

  constructor() {
    super('the bytes are not those that were stored');
  }
}

import { createHash } from 'node:crypto';
import type { Database } from '../db/database.js';
import type { BlobRow } from '../db/tables.js';
import { allBlobs, filesOfBlobs } from './blobs.queries.js';

/** What a tool that goes through the bytes of all files is handed. */
export interface BlobToolDeps {
  readonly db: Database;
  /** Takes one line for whoever asked. */
  readonly tell: (line: string) => void;
}

/** A blob with the ids of the files that name it. */
export interface StoredBlob extends BlobRow {
  readonly fileIds: readonly string[];
}

/** Every blob, so many at a time. */
export async function* storedBlobs(db: Database, limit: number): AsyncGenerator<StoredBlob[]> {
  for await (const rows of allBlobs(db, limit)) {
    const files = await filesOfBlobs(
      db,
      rows.map(({ id }) => id),
    );
    yield rows.map((row) => ({ ...row, fileIds: files.get(row.id) ?? [] }));
  }
}

/** Tells each file of a blob whose bytes are wrong. */
export function tellBroken({ tell }: BlobToolDeps, blob: StoredBlob, wrong: string): void {
  for (const id of blob.fileIds) tell(`broken  file ${id}, key ${blob.storage_key}: ${wrong}`);
}

/** The same bytes; throws behind the last one when they are not what the row says. */
export async function* verified(
  bytes: AsyncIterable<Uint8Array>,
  { size, sha256 }: Pick<BlobRow, 'size' | 'sha256'>,
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

import { open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ParleyError } from '../../errors.js';
import { makeFolder } from '../../make-folder.js';
import { letGo } from '../chunks.js';
import { assertStorageKey } from './storage.js';

/** Bytes read at a time. */
export const READ_BUFFER = 256 * 1024;

/** Where the bytes under a key lie: `<root>/<first two digits of the key>/<key>`. Throws for what is no key. */
export function pathOf(root: string, key: string): string {
  assertStorageKey(key);
  return join(root, key.slice(0, 2), key);
}

/** The same while they are written. */
export const partOf = (path: string): string => `${path}.part`;

/** Makes the folder of a file, durably. */
export async function makeFolderOf(root: string, path: string): Promise<void> {
  if (await makeFolder(dirname(path))) await syncFolder(root);
}

/** Makes the name of a file durable. */
export const syncFolderOf = (path: string): Promise<void> => syncFolder(dirname(path));

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Writes at a position, and lets go of the chunks. A disk that is nearly full takes a part, and tells why only when it is given the rest. */
export async function writeAll(
  handle: FileHandle,
  chunks: readonly Uint8Array[],
  position: number,
): Promise<void> {
  if (chunks.length === 0) return;
  let { bytesWritten } = await handle.writev(chunks, position);
  const all = chunks.reduce((sum, { length }) => sum + length, 0);
  if (bytesWritten < all) {
    const bytes = Buffer.concat(chunks);
    while (bytesWritten < all) {
      const rest = await handle.write(bytes, bytesWritten, all - bytesWritten, position + bytesWritten);
      bytesWritten += rest.bytesWritten;
    }
  }
  chunks.forEach(letGo);
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

export function unlessMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

/** Throws UNAVAILABLE where the disk, the user's share of it, or the size that one file may have, is used up; else what it was given. */
export function noRoomFor(error: unknown): never {
  if (!['ENOSPC', 'EDQUOT', 'EFBIG'].includes(String(codeOf(error)))) throw error;
  throw new ParleyError(
    'UNAVAILABLE',
    'The server does not have enough storage space for this file now: try again later.',
    {},
    { cause: error },
  );
}

import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Makes a new file of what was read, as Storage.layDown does. */
export async function layDownAt(
  path: string,
  bytes: Readable | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (bytes === undefined) return false;
  try {
    await pipeline(bytes, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal });
    return true;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

import { isBlob } from './blobs.queries.js';
import type { Storage } from './storage/storage.js';
import {
  storedBlobs,
  tellBroken,
  verified,
  WrongBytesError,
  type BlobToolDeps,
  type StoredBlob,
} from './stored-blob.js';

export interface CopyDeps extends BlobToolDeps {
  readonly from: Storage;
  readonly to: Storage;
}

/** Contents on their way at once. */
const AT_ONCE = 4;
const never = new AbortController().signal;

type Outcome = 'copied' | 'there already' | 'deleted meanwhile' | 'broken';

/**
 * Copies the bytes of all files, each content once, under the same keys, also while servers run on `from`. Each is held against its hash on the way and is
 * whole or not there, so what is there was right, and is passed over: a copy that was broken off is begun again. Bytes that are missing or wrong
 * in `from` are told. Answers whether every file's bytes are in `to` now; of what was uploaded meanwhile the next copy knows.
 */
export async function copyFiles(deps: CopyDeps): Promise<boolean> {
  const counts: Record<Outcome, number> = {
    copied: 0,
    'there already': 0,
    'deleted meanwhile': 0,
    broken: 0,
  };
  for await (const blobs of storedBlobs(deps.db, AT_ONCE)) {
    for (const outcome of await Promise.all(blobs.map((blob) => copyBlob(deps, blob)))) counts[outcome] += 1;
  }
  deps.tell(
    Object.entries(counts)
      .map(([outcome, count]) => `${outcome}: ${String(count)}`)
      .join(', '),
  );
  return counts.broken === 0;
}

async function copyBlob(deps: CopyDeps, blob: StoredBlob): Promise<Outcome> {
  const { db, from, to } = deps;
  const { storage_key: key, size } = blob;
  if ((await to.size(key)) === size) return 'there already';
  const bytes = await from.read(key);
  if (bytes === undefined) {
    if (!(await isBlob(db, blob))) return 'deleted meanwhile';
    tellBroken(deps, blob, 'its bytes are missing');
    return 'broken';
  }
  // What a copy left that was broken off.
  await to.delete(key);
  try {
    await to.write(key, verified(bytes, blob), never);
  } catch (error) {
    if (!(error instanceof WrongBytesError)) throw error;
    tellBroken(deps, blob, error.message);
    return 'broken';
  }
  if (await isBlob(db, blob)) return 'copied';
  // Its deletion took the bytes that were copied, and knows of no others.
  await to.delete(key);
  return 'deleted meanwhile';
}

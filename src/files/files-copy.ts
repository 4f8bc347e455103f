import type { Database } from '../db/database.js';
import { fileRow, storedRows } from './files.queries.js';
import type { Storage } from './storage/storage.js';
import { verified, WrongBytesError, type StoredRow } from './stored-file.js';

export interface CopyDeps {
  readonly db: Database;
  readonly from: Storage;
  readonly to: Storage;
  /** Takes one line for whoever asked. */
  readonly tell: (line: string) => void;
}

/** Files on their way at once. */
const AT_ONCE = 4;
const never = new AbortController().signal;

type Outcome = 'copied' | 'there already' | 'deleted meanwhile' | 'broken';

/**
 * Copies the bytes of every file, under the same keys, also while servers run on `from`. Each is held against its hash on the way and is
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
  for await (const rows of storedRows(deps.db, AT_ONCE)) {
    for (const outcome of await Promise.all(rows.map((row) => copyFile(deps, row)))) counts[outcome] += 1;
  }
  deps.tell(
    Object.entries(counts)
      .map(([outcome, count]) => `${outcome}: ${String(count)}`)
      .join(', '),
  );
  return counts.broken === 0;
}

async function copyFile({ db, from, to, tell }: CopyDeps, row: StoredRow): Promise<Outcome> {
  const { id, storage_key: key, size } = row;
  if ((await to.size(key)) === size) return 'there already';
  const isThere = async (): Promise<boolean> => (await fileRow(db, id))?.deleted_at === null;
  const bytes = await from.read(key);
  if (bytes === undefined) {
    if (!(await isThere())) return 'deleted meanwhile';
    tell(`broken  file ${id}, key ${key}: its bytes are missing`);
    return 'broken';
  }
  // What a copy left that was broken off.
  await to.delete(key);
  try {
    await to.write(key, verified(bytes, row), never);
  } catch (error) {
    if (!(error instanceof WrongBytesError)) throw error;
    tell(`broken  file ${id}, key ${key}: ${error.message}`);
    return 'broken';
  }
  if (await isThere()) return 'copied';
  // Its deletion took the bytes that were copied, and knows of no others.
  await to.delete(key);
  return 'deleted meanwhile';
}

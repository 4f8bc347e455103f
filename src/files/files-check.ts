import type { Database } from '../db/database.js';
import type { Logger } from '../observability/logger.js';
import { fileRow, storedRows } from './files.queries.js';
import { LeaseSweeper } from './lease-sweeper.js';
import type { Storage } from './storage/storage.js';
import { verified, WrongBytesError, type StoredRow } from './stored-file.js';
import { claimedKeys, insertExpiredLeases } from './upload-leases.queries.js';

export interface CheckDeps {
  readonly db: Database;
  readonly storage: Storage;
  readonly logger: Logger;
  /** Takes one line for whoever asked. */
  readonly tell: (line: string) => void;
}

/** Rows or keys that are looked at together. */
const BATCH = 100;

/**
 * Holds the rows of files and the bytes in storage against each other, both ways, also while servers run. With `hashes` all bytes are read. With
 * `mend` what belongs to nothing is deleted, as the bytes of a deleted file are: by an expired lease. Files whose bytes are lost are told and
 * nothing else; where that is every file, nothing is deleted. Answers whether all is well now.
 */
export async function checkFiles(
  deps: CheckDeps,
  { mend, hashes }: { readonly mend: boolean; readonly hashes: boolean },
): Promise<boolean> {
  const { tell } = deps;
  let files = 0;
  let broken = 0;
  for await (const rows of storedRows(deps.db, BATCH)) {
    const found = await Promise.all(rows.map((row) => wrongOf(deps, row)));
    files += rows.length;
    for (const [i, row] of rows.entries()) {
      const wrong = found[i] ?? (hashes ? await wrongBytesOf(deps, row) : undefined);
      if (wrong === undefined || !(await isThere(deps, row))) continue;
      broken += 1;
      tell(`broken  file ${row.id}, key ${row.storage_key}: ${wrong}`);
    }
  }

  const orphans = await orphansOf(deps);
  for (const key of orphans) tell(`orphan  key ${key}: bytes that belong to no file and no upload`);
  // Of a bucket that is another's, or whose prefix is, everything looks like this.
  const isOurs = broken < files;
  if (mend && !isOurs && orphans.length > 0)
    tell('nothing is deleted: no file of the database has its bytes here');
  if (mend && isOurs && orphans.length > 0) {
    await insertExpiredLeases(deps.db, orphans);
    const sweeper = new LeaseSweeper(deps);
    sweeper.sweepSoon();
    await sweeper.idle();
  }
  const left = mend ? await orphansOf(deps) : orphans;
  const mended = mend ? `, ${String(orphans.length - left.length)} deleted` : '';
  tell(`${String(files)} files: ${String(broken)} broken; ${String(orphans.length)} orphans${mended}`);
  return broken === 0 && left.length === 0;
}

/** What is wrong with the bytes of a file, as far as it shows without reading them. */
async function wrongOf(
  { storage }: CheckDeps,
  { storage_key, size }: StoredRow,
): Promise<string | undefined> {
  const found = await storage.size(storage_key);
  if (found === undefined) return 'its bytes are missing';
  return found === size ? undefined : `it has ${String(found)} bytes, and had ${String(size)}`;
}

async function wrongBytesOf({ storage }: CheckDeps, row: StoredRow): Promise<string | undefined> {
  try {
    const bytes = await storage.read(row.storage_key);
    if (bytes === undefined) return 'its bytes are missing';
    for await (const _chunk of verified(bytes, row));
    return undefined;
  } catch (error) {
    if (error instanceof WrongBytesError) return error.message;
    throw error;
  }
}

/** Whether it was not deleted meanwhile. */
const isThere = async ({ db }: CheckDeps, { id }: StoredRow): Promise<boolean> =>
  (await fileRow(db, id))?.deleted_at === null;

/**
 * Keys in storage that neither a file nor a lease names. A lease is there before the first byte, so none is under way; what was listed, and
 * deleted before the database was asked, is not listed again.
 */
async function orphansOf(deps: CheckDeps): Promise<string[]> {
  const suspects = new Set(await unclaimed(deps, deps.storage.list()));
  if (suspects.size === 0) return [];
  const again = new Set<string>();
  for await (const key of deps.storage.list()) if (suspects.has(key)) again.add(key);
  return [...again].sort();
}

async function unclaimed({ db }: CheckDeps, keys: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  let batch: string[] = [];
  const look = async (): Promise<void> => {
    const claimed = await claimedKeys(db, batch);
    found.push(...batch.filter((key) => !claimed.has(key)));
    batch = [];
  };
  for await (const key of keys) if (batch.push(key) >= BATCH) await look();
  await look();
  return found;
}

import { transaction, type Database } from '../db/database.js';
import type { Logger } from '../observability/logger.js';
import { filesOfBlobs, isBlob, releaseBlobs } from './blobs.queries.js';
import { LeaseSweeper } from './lease-sweeper.js';
import type { Storage } from './storage/storage.js';
import {
  storedBlobs,
  tellBroken,
  verified,
  WrongBytesError,
  type BlobToolDeps,
  type StoredBlob,
} from './stored-blob.js';
import { claimedKeys, insertExpiredLeases } from './upload-leases.queries.js';
import { recount, wrongCounts } from './usage.queries.js';

export interface CheckDeps extends BlobToolDeps {
  readonly storage: Storage;
  readonly logger: Logger;
}

/** Rows or keys that are looked at together. */
const BATCH = 100;

/**
 * Holds the files of the database and the bytes in storage against each other, both ways, also while servers run. With `hashes` all bytes are read. With
 * `mend` what belongs to nothing is deleted, as the bytes of a deleted file are: by an expired lease. Files whose bytes are lost are told and
 * nothing else; where that is every file, nothing is deleted. Counts of bytes in use are held against the rows too, and mended. Answers whether all is well now.
 */
export async function checkFiles(
  deps: CheckDeps,
  { mend, hashes }: { readonly mend: boolean; readonly hashes: boolean },
): Promise<boolean> {
  const { tell } = deps;
  let files = 0;
  let blobs = 0;
  let broken = 0;
  const suspects: StoredBlob[] = [];
  for await (const batch of storedBlobs(deps.db, BATCH)) {
    const found = await Promise.all(batch.map((blob) => wrongOf(deps, blob)));
    for (const [i, blob] of batch.entries()) {
      if (blob.fileIds.length === 0) {
        suspects.push(blob);
        continue;
      }
      files += blob.fileIds.length;
      blobs += 1;
      const wrong = found[i] ?? (hashes ? await wrongBytesOf(deps, blob) : undefined);
      if (wrong === undefined || !(await isBlob(deps.db, blob))) continue;
      broken += blob.fileIds.length;
      tellBroken(deps, blob, wrong);
    }
  }

  const unnamed = await stillUnnamed(deps.db, suspects);
  const orphans = await orphansOf(deps);
  const keys = [...unnamed.map(({ storage_key }) => storage_key), ...orphans].sort();
  for (const key of keys) tell(`orphan  key ${key}: bytes that belong to no file and no upload`);
  // Of a bucket that is another's, or whose prefix is, everything looks like this.
  const isOurs = broken < files;
  if (mend && !isOurs && keys.length > 0)
    tell('nothing is deleted: no file of the database has its bytes here');
  if (mend && isOurs && keys.length > 0) await deleteOrphans(deps, unnamed, orphans);
  const left = mend
    ? (await stillUnnamed(deps.db, unnamed)).length + (await orphansOf(deps)).length
    : keys.length;
  const mended = mend ? `, ${String(keys.length - left)} deleted` : '';
  const [filesSeen, blobsSeen, brokenSeen] = [files, blobs, broken].map(String);
  tell(
    `${filesSeen} files, ${blobsSeen} contents: ${brokenSeen} broken; ${String(keys.length)} orphans${mended}`,
  );
  const isCounted = await checkCounts(deps, mend);
  return broken === 0 && left === 0 && isCounted;
}

/** What quotas go by. Answers whether it is right now. */
async function checkCounts({ db, tell }: CheckDeps, mend: boolean): Promise<boolean> {
  const wrong = await wrongCounts(db);
  for (const count of wrong) {
    const { table, id, counted, found } = count;
    const who = table === 'users' ? 'user' : 'room';
    tell(`usage   ${who} ${id}: ${String(counted)} bytes are counted, its files have ${String(found)}`);
    if (mend) await transaction(db, (trx) => recount(trx, count));
  }
  return wrong.length === 0 || (mend && (await wrongCounts(db)).length === 0);
}

/** Those that no file names now either, and that are there. A file takes its blob along when it goes, so another hand was at work. */
async function stillUnnamed(db: Database, blobs: readonly StoredBlob[]): Promise<StoredBlob[]> {
  if (blobs.length === 0) return [];
  const named = await filesOfBlobs(
    db,
    blobs.map(({ id }) => id),
  );
  const found: StoredBlob[] = [];
  for (const blob of blobs) if (!named.has(blob.id) && (await isBlob(db, blob))) found.push(blob);
  return found;
}

async function deleteOrphans(
  deps: CheckDeps,
  unnamed: readonly StoredBlob[],
  orphans: readonly string[],
): Promise<void> {
  await transaction(deps.db, (trx) =>
    releaseBlobs(
      trx,
      unnamed.map(({ id }) => id),
    ),
  );
  await insertExpiredLeases(deps.db, orphans);
  const sweeper = new LeaseSweeper(deps);
  sweeper.sweepSoon();
  await sweeper.idle();
}

/** What is wrong with the bytes of a blob, as far as it shows without reading them. */
async function wrongOf(
  { storage }: CheckDeps,
  { storage_key, size }: StoredBlob,
): Promise<string | undefined> {
  const found = await storage.size(storage_key);
  if (found === undefined) return 'its bytes are missing';
  return found === size ? undefined : `it has ${String(found)} bytes, and had ${String(size)}`;
}

async function wrongBytesOf({ storage }: CheckDeps, blob: StoredBlob): Promise<string | undefined> {
  try {
    const bytes = await storage.read(blob.storage_key);
    if (bytes === undefined) return 'its bytes are missing';
    for await (const _chunk of verified(bytes, blob));
    return undefined;
  } catch (error) {
    if (error instanceof WrongBytesError) return error.message;
    throw error;
  }
}

/**
 * Keys in storage that neither a blob nor a lease names. A lease is there before the first byte, so none is under way; what was listed, and
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

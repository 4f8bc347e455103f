import { randomUUID } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { transaction, type Database } from '../db/database.js';
import { StartError } from '../errors.js';
import { lockStoreId, newestStorageKeys, setStoreId } from './store-id.queries.js';
import type { Storage } from './storage/storage.js';

/** The file in the folder that says which one it is. */
export const STORE_ID_FILE = 'store-id';

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\s*$/;

/** How often, and after how many milliseconds each, a file that is still being written is looked at again. */
const [LOOKS, LOOK_MS] = [10, 50];

/**
 * Makes sure that `folder`, where `storage` keeps its bytes, is the one that the database's files lie in: both bear the same
 * random id, which the first process to meet them makes. Or else a process that was given another folder, or one that is not
 * mounted, would lose what it takes in to all the others, and answer 404 to what they took in.
 *
 * Processes that start together wait for each other, by the lock of the row. The folder has its id durably before the database
 * has it, so a crash in between leaves what the next start completes. Where neither or only the folder has one (an installation
 * from before there were ids, a backup of such a database), one of the newest files must be found in the folder.
 *
 * @throws {StartError} when it is another folder.
 */
export async function matchStore(db: Database, storage: Storage, folder: string): Promise<void> {
  await transaction(db, async (trx) => {
    const expected = await lockStoreId(trx);
    const found = await readStoreId(folder);
    if (expected === undefined) {
      const keys = await newestStorageKeys(trx);
      if (keys.length > 0 && !(await holdsAny(storage, keys))) throw withoutFiles(folder);
      await setStoreId(trx, found ?? (await writeStoreId(folder)));
    } else if (found !== expected) {
      throw another(folder, expected, found);
    }
  });
}

async function holdsAny(storage: Storage, keys: readonly string[]): Promise<boolean> {
  for (const key of keys) if ((await storage.size(key)) !== undefined) return true;
  return false;
}

/** Undefined where there is none, or where one was begun and, by a crash, never written. */
async function readStoreId(folder: string): Promise<string | undefined> {
  for (let looks = 0; looks < LOOKS; looks += 1) {
    const text = await readFile(join(folder, STORE_ID_FILE), 'utf8').catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
      return undefined;
    });
    if (text === undefined) return undefined;
    if (ID.test(text)) return text.trim();
    // A process of another database may be writing it now: that of this one is held back by the lock.
    await pause(LOOK_MS);
  }
  return undefined;
}

/** Answers the id that the folder has from now on: a new one, or that of whoever was first meanwhile. */
async function writeStoreId(folder: string): Promise<string> {
  const path = join(folder, STORE_ID_FILE);
  const id = randomUUID();
  // Nothing but an id that was never written whole is written over.
  const handle = await open(path, 'wx').catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error;
    return undefined;
  });
  if (handle === undefined) {
    const theirs = await readStoreId(folder);
    if (theirs !== undefined) return theirs;
  }
  await using file = handle ?? (await open(path, 'w'));
  await file.writeFile(`${id}\n`);
  await file.sync();
  await using parent = await open(dirname(path), 'r');
  await parent.sync();
  return id;
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

const withoutFiles = (folder: string): StartError =>
  new StartError(
    `DATA_DIR: ${folder} holds none of the newest files that the database has; it is another folder than the one they ` +
      'were stored in, or not mounted. Point DATA_DIR at theirs, the same for every process, or restore it from the backup',
  );

const another = (folder: string, expected: string, found: string | undefined): StartError =>
  new StartError(
    `DATA_DIR: ${folder} is not the folder of the database's files: it has ${found === undefined ? 'no store id' : `store id ${found}`}, ` +
      `and the database expects ${expected}. Point DATA_DIR at the one that has it, the same for every process. To use this ` +
      `one instead, with whatever files it holds, write ${expected} into ${join(folder, STORE_ID_FILE)}`,
  );

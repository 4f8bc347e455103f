import { open, opendir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';
import { makeFolder } from '../../make-folder.js';

/**
 * Makes a new, empty database at `dir`, which must not exist, or be an empty directory. It takes some seconds.
 * It is made beside `dir` under another name, brought to disk and then renamed: `dir` is never seen half made, not even
 * after a power cut, and whatever a killed attempt left is thrown away by the next.
 *
 * @throws whatever PGlite or the file system throws; `dir` is not there then.
 */
export async function createCluster(dir: string): Promise<void> {
  const draft = `${dir}.new`;
  await rm(draft, { recursive: true, force: true });
  await makeFolder(draft, 0o700);

  const pglite = await PGlite.create({ fs: new NodeFS(draft) });
  await pglite.close();

  await syncTree(draft);
  await rename(draft, dir);
  await syncDirectory(dirname(dir));
}

/** Flushes every file and directory below `dir`, and `dir` itself. */
async function syncTree(dir: string): Promise<void> {
  for await (const entry of await opendir(dir)) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await sync(path, 'r+');
  }
  await syncDirectory(dir);
}

async function syncDirectory(dir: string): Promise<void> {
  // Windows cannot open a directory, and needs no help to keep its entries.
  if (process.platform !== 'win32') await sync(dir, 'r');
}

async function sync(path: string, flags: 'r' | 'r+'): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

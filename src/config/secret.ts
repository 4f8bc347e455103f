import { randomBytes } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../make-folder.js';

/**
 * The secret of an embedded server: read from `dataDir`, or made there on the first start, readable by its owner alone. The
 * caller holds the folder's lock.
 */
export async function readOrMakeSecret(dataDir: string): Promise<string> {
  const path = join(dataDir, 'secret');
  await makeFolder(dataDir);
  try {
    const kept = (await readFile(path, 'utf8')).trim();
    // A crash may have left an empty file behind: no token was ever signed with it.
    if (kept.length >= 32) return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const secret = randomBytes(32).toString('hex');
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(`${secret}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return secret;
}

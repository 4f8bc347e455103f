import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../../make-folder.js';
import type { Storage } from '../storage/storage.js';
import { UnreadableError } from './program.js';

/** Milliseconds after which nothing is at work in a folder any more: whoever made it has died. */
const ABANDONED_MS = 3_600_000;

/** Bytes that lie in storage. */
export interface Source {
  readonly storage_key: string;
  readonly size: number;
}

/** The bytes that were to be read are not there: they were deleted meanwhile, or lost. */
export class MissingBytesError extends Error {
  override readonly name = 'MissingBytesError';
}

/** A folder for each piece of work, which only this user can enter, and which goes with it. */
export class Workshop {
  /** `root` lies beside the files, since a folder for temporary files is often in memory. */
  constructor(
    private readonly root: string,
    private readonly storage: Storage,
  ) {}

  /** Removes what processes left that were killed. The volume's own clock says how old that is: this process's may be wrong. */
  async clean(): Promise<void> {
    const names = await readdir(this.root).catch(() => []);
    if (names.length === 0) return;
    const fresh = await mkdtemp(join(this.root, 'work-'));
    try {
      const now = (await stat(fresh)).mtimeMs;
      for (const name of names) {
        const path = join(this.root, name);
        const found = await stat(path).catch(() => undefined);
        if (found !== undefined && now - found.mtimeMs > ABANDONED_MS)
          await rm(path, { recursive: true, force: true });
      }
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  }

  /**
   * Lays the bytes down as a file and hands `work` its path, to read, and its folder. Throws UnreadableError beyond `maxBytes`, MissingBytesError, and what
   * `work` throws.
   */
  async with<T>(
    source: Source,
    maxBytes: number,
    work: (path: string, folder: string) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    if (source.size > maxBytes) throw new UnreadableError(`it has more than ${String(maxBytes)} bytes`);
    await makeFolder(this.root, 0o700);
    const folder = await mkdtemp(join(this.root, 'work-'));
    try {
      const path = join(folder, 'source');
      if (!(await this.storage.layDown(source.storage_key, path, signal)))
        throw new MissingBytesError(`nothing lies under ${source.storage_key}`);
      return await work(path, folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

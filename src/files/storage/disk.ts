import { link, open, opendir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { makeFolder } from '../../make-folder.js';
import { fill } from './disk-fill.js';
import {
  makeFolderOf,
  noRoomFor,
  partOf,
  pathOf,
  READ_BUFFER,
  syncFolderOf,
  unlessMissing,
} from './disk-files.js';
import { layDownAt } from './lay-down.js';
import { isStorageKey, type ByteRange, type Storage } from './storage.js';

/** Bytes sent at a time, from the same memory again and again: fresh memory for each cost as much CPU as all the rest. */
const SEND_BUFFER = 512 * 1024;
/** What is written to find out whether anything can be. Processes that share the folder share it too. */
const PROBE = '.probe';

/** Files in a folder: `<root>/<first two digits of the key>/<key>`, beside it `<key>.part` while it is written. */
export class DiskStorage implements Storage {
  /** `root` is made if it is missing. */
  static async open(root: string): Promise<DiskStorage> {
    await makeFolder(root);
    return new DiskStorage(root);
  }

  private constructor(private readonly root: string) {}

  async write(key: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const path = pathOf(this.root, key);
    const part = partOf(path);
    try {
      await makeFolderOf(this.root, path);
      const handle = await open(part, 'wx');
      try {
        // The name must not become durable before the bytes that it names.
        await fill(handle, bytes, signal);
      } finally {
        await handle.close();
      }
      await rename(part, path);
      await syncFolderOf(path);
    } catch (error) {
      await this.delete(key);
      noRoomFor(error);
    }
  }

  async read(key: string): Promise<Readable | undefined> {
    const handle = await this.open(key);
    return handle?.createReadStream({ highWaterMark: READ_BUFFER });
  }

  async layDown(key: string, path: string, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    const isLinked = await link(pathOf(this.root, key), path).then(
      () => true,
      () => false,
    );
    // On another file system, where there are no links, or where there is nothing.
    return isLinked || layDownAt(path, await this.read(key), signal);
  }

  async send(key: string, range: ByteRange | undefined, begin: () => Writable): Promise<number | undefined> {
    const handle = await this.open(key);
    if (handle === undefined) return undefined;
    try {
      return await sendFrom(handle, range ?? { start: 0, end: (await handle.stat()).size - 1 }, begin());
    } finally {
      await handle.close();
    }
  }

  private open(key: string): Promise<FileHandle | undefined> {
    return open(pathOf(this.root, key), 'r').catch(unlessMissing);
  }

  async size(key: string): Promise<number | undefined> {
    const stats = await stat(pathOf(this.root, key)).catch(unlessMissing);
    return stats?.size;
  }

  async delete(key: string): Promise<void> {
    const path = pathOf(this.root, key);
    await rm(partOf(path), { force: true });
    await rm(path, { force: true });
  }

  async *list(): AsyncGenerator<string> {
    for await (const folder of await opendir(this.root)) {
      if (!folder.isDirectory()) continue;
      for await (const { name } of await opendir(join(this.root, folder.name))) {
        const key = name.replace(/\.part$/, '');
        if (isStorageKey(key)) yield key;
      }
    }
  }

  async check(): Promise<void> {
    const probe = join(this.root, PROBE);
    const handle = await open(probe, 'w');
    try {
      await handle.write('ready');
    } finally {
      await handle.close();
    }
    await rm(probe, { force: true });
  }
}

/** Sends a part of a file through one buffer, which is filled again only when all of it was taken. Answers how many bytes were sent. */
async function sendFrom(handle: FileHandle, { start, end }: ByteRange, to: Writable): Promise<number> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(SEND_BUFFER, end + 1 - start));
  let [position, gone] = [start, to.destroyed];
  let goOn = (): void => undefined;
  const onClose = (): void => {
    gone = true;
    goOn();
  };
  to.once('close', onClose);
  while (position <= end && !gone) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, end + 1 - position), position);
    if (bytesRead === 0) break;
    await new Promise<void>((resolve) => {
      goOn = resolve;
      to.write(buffer.subarray(0, bytesRead), (error) => {
        if (error == null) position += bytesRead;
        else gone = true;
        resolve();
      });
    });
  }
  to.off('close', onClose);
  return position - start;
}

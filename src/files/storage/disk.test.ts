import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskStorage } from './disk.js';
import { newStorageKey, type Storage } from './storage.js';

const never = new AbortController().signal;

let root: string;
let storage: Storage;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'parley-disk-'));
  storage = await DiskStorage.open(join(root, 'files'));
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

const filesOnDisk = async (): Promise<string[]> =>
  (await readdir(join(root, 'files'), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

async function* chunks(...given: (Buffer | Error)[]): AsyncGenerator<Buffer> {
  for (const chunk of given) {
    if (chunk instanceof Error) throw chunk;
    yield await Promise.resolve(chunk);
  }
}

/** What every storage promises is tested in test/integration/storage.test.ts. */
describe('a store on disk', () => {
  it('answers UNAVAILABLE when the disk is full', async () => {
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const writing = storage.write(newStorageKey(), chunks(randomBytes(1024 * 1024), full), never);
    await expect(writing).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await filesOnDisk()).toEqual([]);
  });

  it('deletes what a killed process left beside bytes that are whole', async () => {
    const key = newStorageKey();
    await storage.write(key, chunks(Buffer.from('x')), never);
    await writeFile(join(root, 'files', key.slice(0, 2), `${key}.part`), 'half');
    await storage.delete(key);
    expect(await filesOnDisk()).toEqual([]);
  });

  it('lists nothing that it did not write itself', async () => {
    await writeFile(join(root, 'files', 'notes.txt'), 'x');
    const key = newStorageKey();
    await storage.write(key, chunks(Buffer.from('x')), never);
    await writeFile(join(root, 'files', key.slice(0, 2), 'notes.txt'), 'x');
    const listed: string[] = [];
    for await (const found of storage.list()) listed.push(found);
    expect(listed).toEqual([key]);
  });

  it('checks that it can write', async () => {
    await storage.check();
    await rm(join(root, 'files'), { recursive: true });
    await expect(storage.check()).rejects.toThrow();
  });
});

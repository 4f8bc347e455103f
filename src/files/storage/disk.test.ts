import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskStorage } from './disk.js';
import { newStorageKey, type Storage } from './storage.js';

const MIB = 1024 * 1024;
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

async function* chunks(...given: (Buffer | Error | Promise<void>)[]): AsyncGenerator<Buffer> {
  for (const chunk of given) {
    if (chunk instanceof Error) throw chunk;
    if (chunk instanceof Promise) await chunk;
    else yield chunk;
  }
}

const read = async (key: string, range?: { start: number; end: number }): Promise<Buffer> => {
  const stream = await storage.read(key, range);
  if (stream === undefined) throw new Error('nothing there');
  return buffer(stream);
};

describe('a store on disk', () => {
  it('keeps what was written, whole and in parts', async () => {
    const bytes = randomBytes(3 * MIB + 17);
    const key = newStorageKey();
    await storage.write(key, chunks(bytes.subarray(0, MIB), bytes.subarray(MIB)), never);
    expect(await storage.size(key)).toBe(bytes.length);
    expect((await read(key)).equals(bytes)).toBe(true);
    expect((await read(key, { start: 5, end: 5 })).equals(bytes.subarray(5, 6))).toBe(true);
    expect((await read(key, { start: MIB, end: 2 * MIB })).equals(bytes.subarray(MIB, 2 * MIB + 1))).toBe(
      true,
    );
    expect(await filesOnDisk()).toEqual([key]);
  });

  it('shows nothing of what is still being written', async () => {
    const key = newStorageKey();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const writing = storage.write(key, chunks(randomBytes(2 * MIB), gate, randomBytes(10)), never);
    await expect.poll(filesOnDisk).toEqual([`${key}.part`]);
    expect(await storage.read(key)).toBeUndefined();
    expect(await storage.size(key)).toBeUndefined();
    go();
    await writing;
    expect(await storage.size(key)).toBe(2 * MIB + 10);
  });

  it('leaves nothing of what broke off, and passes the error on', async () => {
    const broken = storage.write(newStorageKey(), chunks(randomBytes(MIB), new Error('broke off')), never);
    await expect(broken).rejects.toThrow('broke off');
    expect(await filesOnDisk()).toEqual([]);
  });

  it('leaves nothing of what was aborted', async () => {
    const abort = new AbortController();
    const key = newStorageKey();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const writing = storage.write(key, chunks(randomBytes(2 * MIB), gate, randomBytes(10)), abort.signal);
    const settled = expect(writing).rejects.toThrow('lost');
    await expect.poll(filesOnDisk).toEqual([`${key}.part`]);
    abort.abort(new Error('lost'));
    go();
    await settled;
    expect(await filesOnDisk()).toEqual([]);
  });

  it('answers UNAVAILABLE when the disk is full', async () => {
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const writing = storage.write(newStorageKey(), chunks(randomBytes(MIB), full), never);
    await expect(writing).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await filesOnDisk()).toEqual([]);
  });

  it('deletes bytes, and what a killed process left of them, once and again', async () => {
    const key = newStorageKey();
    await storage.write(key, chunks(Buffer.from('x')), never);
    await writeFile(join(root, 'files', key.slice(0, 2), `${key}.part`), 'half');
    await storage.delete(key);
    await storage.delete(key);
    expect(await filesOnDisk()).toEqual([]);
    expect(await storage.read(key)).toBeUndefined();
  });

  it('lets a read that has begun go on while the bytes are deleted', async () => {
    const bytes = randomBytes(4 * MIB);
    const key = newStorageKey();
    await storage.write(key, chunks(bytes), never);
    const stream = await storage.read(key);
    await storage.delete(key);
    expect((await buffer(stream!)).equals(bytes)).toBe(true);
  });

  it('takes no key that names a place elsewhere', async () => {
    for (const key of ['../../etc/passwd', '', 'x'.repeat(32), `${'0'.repeat(31)}/`]) {
      await expect(storage.delete(key)).rejects.toThrow('no storage key');
    }
  });

  it('checks that it can write', async () => {
    await storage.check();
    await rm(join(root, 'files'), { recursive: true });
    await expect(storage.check()).rejects.toThrow();
  });
});

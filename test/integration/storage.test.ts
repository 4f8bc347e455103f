import { readiness } from '../support/readiness.js';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isOutage } from '../../src/db/outage.js';
import { DiskStorage } from '../../src/files/storage/disk.js';
import { S3Storage } from '../../src/files/storage/s3.js';
import { newStorageKey, type Storage } from '../../src/files/storage/storage.js';
import { startParley } from '../support/app.js';
import { inBucket, makeBucketPlace, stores } from '../support/object-store.js';

const MIB = 1024 * 1024;
/** More than one part of an object has. */
const LARGE = 11 * MIB + 17;
const never = new AbortController().signal;

/** Copies, for a storage lets go of what it is given. */
async function* chunks(...given: (Buffer | Error | Promise<void>)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of given) {
    if (chunk instanceof Error) throw chunk;
    if (chunk instanceof Promise) await chunk;
    else yield new Uint8Array(chunk);
  }
}

interface Found {
  readonly storage: Storage;
  /** Keys that name bytes, and keys under which some are half written. */
  look(): Promise<{ readonly whole: string[]; readonly half: string[] }>;
  close(): Promise<void>;
}

const OPEN = {
  disk: async (): Promise<Found> => {
    const root = await mkdtemp(join(tmpdir(), 'parley-disk-'));
    return {
      storage: await DiskStorage.open(root),
      look: async () => {
        const entries = await readdir(root, { recursive: true, withFileTypes: true });
        const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
        return {
          whole: names.filter((name) => !name.endsWith('.part')),
          half: names.filter((name) => name.endsWith('.part')).map((name) => name.slice(0, -5)),
        };
      },
      close: () => rm(root, { recursive: true }),
    };
  },
  s3: async (): Promise<Found> => {
    const place = makeBucketPlace();
    const storage = new S3Storage(place, 5 * 1024 ** 3);
    return {
      storage,
      look: async () => {
        const { objects, uploads } = await inBucket(place.prefix);
        return { whole: objects, half: uploads };
      },
      close: () => {
        storage.close();
        return Promise.resolve();
      },
    };
  },
};

describe.each(stores)('Storage on %s', (kind) => {
  let found: Found;
  let storage: Storage;
  beforeEach(async () => {
    found = await OPEN[kind]();
    ({ storage } = found);
  });
  afterEach(() => found.close());

  const read = async (key: string): Promise<Buffer> => {
    const stream = await storage.read(key);
    if (stream === undefined) throw new Error('nothing there');
    return buffer(stream);
  };
  /** What is sent of a file, to one who takes a while for each chunk. */
  const sent = async (key: string, range?: { start: number; end: number }): Promise<Buffer> => {
    const taken: Buffer[] = [];
    const to = new Writable({
      write: (chunk: Buffer, _encoding, done) =>
        void setImmediate(() => {
          taken.push(Buffer.from(chunk));
          done();
        }),
    });
    const count = await storage.send(key, range, () => to);
    expect(to.writableEnded).toBe(false);
    await once(to.end(), 'finish');
    const bytes = Buffer.concat(taken);
    expect(count).toBe(bytes.length);
    return bytes;
  };
  const listed = async (): Promise<string[]> => {
    const keys: string[] = [];
    for await (const key of storage.list()) keys.push(key);
    return keys;
  };
  const unused = (): Writable => {
    throw new Error('nothing was to be sent');
  };
  const nothing = { whole: [], half: [] };

  test.each([1, 3 * MIB, 5 * MIB, 5 * MIB + 1, 10 * MIB, LARGE])(
    'keeps %d bytes that were written, whole and in parts',
    async (size) => {
      const bytes = randomBytes(size);
      const key = newStorageKey();
      const cut = Math.floor(size / 3);
      await storage.write(key, chunks(bytes.subarray(0, cut), bytes.subarray(cut)), never);
      expect(await storage.size(key)).toBe(size);
      expect((await read(key)).equals(bytes)).toBe(true);
      expect((await sent(key)).equals(bytes)).toBe(true);
      expect((await sent(key, { start: 0, end: 0 })).equals(bytes.subarray(0, 1))).toBe(true);
      const [start, end] = [Math.floor(size / 4), size - 1];
      expect((await sent(key, { start, end })).equals(bytes.subarray(start))).toBe(true);
      expect(await found.look()).toEqual({ whole: [key], half: [] });
    },
  );

  test('keeps chunks of any size in their order', async () => {
    const bytes = randomBytes(LARGE);
    const sizes = [1, 6 * MIB, 3, 4 * MIB, MIB];
    const given: Buffer[] = [];
    for (let at = 0, i = 0; at < LARGE; i++) {
      const size = sizes[i % sizes.length] ?? 1;
      given.push(bytes.subarray(at, at + size));
      at += size;
    }
    const key = newStorageKey();
    await storage.write(key, chunks(...given), never);
    expect((await read(key)).equals(bytes)).toBe(true);
  });

  test('lets go of the chunks it was given, and leaves alone what lies beside them', async () => {
    const key = newStorageKey();
    const whole = Array.from({ length: 12 }, () => Buffer.allocUnsafeSlow(MIB).fill(randomBytes(64)));
    const shared = randomBytes(2 * MIB);
    const parts = [...whole, shared.subarray(10, MIB)];
    const bytes = Buffer.concat(parts);
    await storage.write(
      key,
      (async function* () {
        yield* await Promise.resolve(parts);
      })(),
      never,
    );
    expect((await read(key)).equals(bytes)).toBe(true);
    expect(whole.map(({ length }) => length)).toEqual(whole.map(() => 0));
    expect(shared.subarray(10, MIB).equals(bytes.subarray(-(MIB - 10)))).toBe(true);
  });

  test('lays bytes down as a file, which goes without them', async () => {
    const key = newStorageKey();
    const bytes = randomBytes(LARGE);
    await storage.write(key, chunks(bytes), never);
    // The second is in memory, where no disk can link to.
    for (const place of [tmpdir(), ...(existsSync('/dev/shm') ? ['/dev/shm'] : [])]) {
      const folder = await mkdtemp(join(place, 'parley-laid-'));
      try {
        const path = join(folder, 'source');
        expect(await storage.layDown(key, path, never)).toBe(true);
        expect((await readFile(path)).equals(bytes)).toBe(true);
        await expect(storage.layDown(key, path, never)).rejects.toThrow('EEXIST');
        expect(await storage.layDown(newStorageKey(), join(folder, 'other'), never)).toBe(false);
        await expect(storage.layDown(key, join(folder, 'missing', 'source'), never)).rejects.toThrow(
          'ENOENT',
        );
        const reason = new Error('enough');
        const aborted = storage.layDown(key, join(folder, 'other'), AbortSignal.abort(reason));
        await expect(aborted).rejects.toBe(reason);
        const abort = new AbortController();
        const copying = storage.layDown(key, join(folder, 'third'), abort.signal);
        abort.abort(reason);
        // A link is made before anyone can abort it.
        expect([true, reason]).toContain(await copying.catch((error: unknown) => error));
      } finally {
        await rm(folder, { recursive: true });
      }
    }
    expect((await read(key)).equals(bytes)).toBe(true);
  });

  test('sends several at once, each its own bytes', async () => {
    const [one, two] = [randomBytes(3 * MIB), randomBytes(3 * MIB)];
    const [first, second] = [newStorageKey(), newStorageKey()];
    await storage.write(first, chunks(one), never);
    await storage.write(second, chunks(two), never);
    const got = await Promise.all([sent(first), sent(second), sent(first)]);
    expect(got.map((bytes, i) => bytes.equals(i === 1 ? two : one))).toEqual([true, true, true]);
  });

  test('sends no more to one who has gone, which is no failure', async () => {
    const key = newStorageKey();
    await storage.write(key, chunks(randomBytes(LARGE)), never);
    const to = new Writable({ write: () => void setImmediate(() => to.destroy()) });
    expect(await storage.send(key, undefined, () => to)).toBeLessThan(LARGE);
  });

  test('shows nothing of what is still being written', async () => {
    const key = newStorageKey();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const writing = storage.write(key, chunks(randomBytes(6 * MIB), gate, randomBytes(6 * MIB)), never);
    await expect.poll(async () => (await found.look()).half, { timeout: 5000 }).toEqual([key]);
    expect(await storage.read(key)).toBeUndefined();
    expect(await storage.send(key, undefined, unused)).toBeUndefined();
    expect(await storage.size(key)).toBeUndefined();
    expect(await listed()).toContain(key);
    go();
    await writing;
    expect(await storage.size(key)).toBe(12 * MIB);
    expect(await found.look()).toEqual({ whole: [key], half: [] });
  });

  test.each([MIB, 6 * MIB, 13 * MIB])(
    'leaves nothing of what broke off after %d bytes, and passes the error on',
    async (size) => {
      const error = new Error('broke off');
      const broken = storage.write(newStorageKey(), chunks(randomBytes(size), error), never);
      await expect(broken).rejects.toBe(error);
      expect(await found.look()).toEqual(nothing);
    },
  );

  test('leaves nothing of what was aborted', async () => {
    const abort = new AbortController();
    const key = newStorageKey();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const writing = storage.write(key, chunks(randomBytes(6 * MIB), gate, randomBytes(10)), abort.signal);
    const settled = expect(writing).rejects.toThrow('lost');
    await expect.poll(async () => (await found.look()).half, { timeout: 5000 }).toEqual([key]);
    abort.abort(new Error('lost'));
    go();
    await settled;
    expect(await found.look()).toEqual(nothing);
  });

  test('deletes bytes, once and again', async () => {
    const key = newStorageKey();
    await storage.write(key, chunks(Buffer.from('x')), never);
    await storage.delete(key);
    await storage.delete(key);
    expect(await found.look()).toEqual(nothing);
    expect(await storage.read(key)).toBeUndefined();
  });

  test('deletes what is half written, which then does not become whole', async () => {
    const key = newStorageKey();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const writing = storage.write(key, chunks(randomBytes(6 * MIB), gate, randomBytes(10)), never);
    const settled = expect(writing).rejects.toThrow();
    await expect.poll(async () => (await found.look()).half, { timeout: 5000 }).toEqual([key]);
    await storage.delete(key);
    expect(await found.look()).toEqual(nothing);
    go();
    await settled;
    expect(await found.look()).toEqual(nothing);
  });

  test('lets a read that has begun go on while the bytes are deleted', async () => {
    const bytes = randomBytes(4 * MIB);
    const key = newStorageKey();
    await storage.write(key, chunks(bytes), never);
    const stream = await storage.read(key);
    await storage.delete(key);
    expect((await buffer(stream!)).equals(bytes)).toBe(true);
  });

  test('lists what it has, each key of its own and nothing else', async () => {
    expect(await listed()).toEqual([]);
    const keys = Array.from({ length: 5 }, newStorageKey);
    for (const key of keys) await storage.write(key, chunks(Buffer.from('x')), never);
    expect((await listed()).sort()).toEqual(keys.sort());
  });

  test('takes no key that names a place elsewhere', async () => {
    for (const key of ['../../etc/passwd', '', 'x'.repeat(32), `${'0'.repeat(31)}/`]) {
      await expect(storage.delete(key)).rejects.toThrow('no storage key');
      await expect(storage.read(key)).rejects.toThrow('no storage key');
    }
  });

  test('says that it is there', () => expect(storage.check()).resolves.toBeUndefined());
});

describe.skipIf(!stores.includes('s3'))('A bucket', () => {
  test('that is missing, or that is not ours, fails the check and every write', async () => {
    const place = makeBucketPlace();
    const storage = new S3Storage({ ...place, bucket: 'nobodys' }, MIB);
    await expect(storage.check()).rejects.toMatchObject({ $metadata: { httpStatusCode: 404 } });
    await expect(storage.write(newStorageKey(), chunks(Buffer.from('x')), never)).rejects.toThrow();
    await expect(storage.read(newStorageKey())).rejects.toThrow();
    storage.close();
  });

  test('is what /readyz looks at', async () => {
    const ready = async (more: Record<string, string>): Promise<unknown> => {
      await using app = await startParley('embedded', more, 's3');
      return await readiness(app.url);
    };
    expect(await ready({})).toMatchObject({ code: 200, status: 'ok', storage: 'ok' });
    // Messages go on.
    expect(await ready({ S3_BUCKET: 'nobodys' })).toMatchObject({
      code: 200,
      status: 'degraded',
      storage: 'down',
    });
  });

  test('of a server that does not answer is an outage', async () => {
    const storage = new S3Storage({ ...makeBucketPlace(), endpoint: 'http://127.0.0.1:1' }, MIB);
    const key = newStorageKey();
    for (const ask of [() => storage.check(), () => storage.read(key), () => storage.delete(key)]) {
      const refusal: unknown = await ask().catch((error: unknown) => error);
      expect(isOutage(refusal)).toBe(true);
    }
    storage.close();
  });

  test('holds memory flat: of a file of 200 MiB a write keeps some parts', async () => {
    const storage = new S3Storage(makeBucketPlace(), 5 * 1024 ** 3);
    const chunk = randomBytes(MIB);
    let most = 0;
    const base = process.memoryUsage();
    await storage.write(
      newStorageKey(),
      (async function* () {
        for (let i = 0; i < 200; i++) {
          const { arrayBuffers } = process.memoryUsage();
          most = Math.max(most, arrayBuffers - base.arrayBuffers);
          yield Buffer.from(chunk);
          await Promise.resolve();
        }
      })(),
      never,
    );
    expect(most).toBeLessThan(120 * MIB);
    storage.close();
  });
});

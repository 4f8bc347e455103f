import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isOutage } from '../../src/db/outage.js';
import { S3Storage } from '../../src/files/storage/s3.js';
import { newStorageKey } from '../../src/files/storage/storage.js';
import { within } from '../support/deadline.js';
import { makeBucketPlace, stores } from '../support/object-store.js';
import { Wire, type Way } from '../support/wire.js';

const SILENCE_MS = 1000;
const MIB = 1024 * 1024;
const never = new AbortController().signal;

describe.skipIf(!stores.includes('s3'))('A bucket that falls silent', () => {
  let wire: Wire;
  let storage: S3Storage;
  let key: string;
  const bytes = randomBytes(6 * MIB);

  beforeEach(async () => {
    const place = makeBucketPlace();
    wire = await Wire.to(place.endpoint ?? '');
    storage = new S3Storage({ ...place, endpoint: wire.url }, 100 * MIB, Date.now, SILENCE_MS);
    key = newStorageKey();
    await storage.write(key, chunks(), never);
  });
  afterEach(async () => {
    storage.close();
    await wire[Symbol.asyncDispose]();
  });

  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield* [bytes];
    await Promise.resolve();
  }

  test.each<Way>(['asking', 'answering'])(
    'fails what waits for it, soon (%s)',
    async (way) => {
      wire.silence({ ways: [way], all: true });
      const asked = [storage.size(key), storage.write(newStorageKey(), chunks(), never)];
      for (const outcome of await within(20_000, 'an answer', Promise.allSettled(asked))) {
        expect(outcome.status).toBe('rejected');
        const { reason } = outcome as PromiseRejectedResult;
        expect(isOutage(reason) || reason.code === 'UNAVAILABLE').toBe(true);
      }
    },
    40_000,
  );

  test('is asked again by a new connection', async () => {
    await storage.size(key);
    wire.silence();
    expect(await within(20_000, 'an answer', storage.size(key))).toBe(bytes.length);
  }, 40_000);

  test('breaks off a download that stands still, and none that is read slowly', async () => {
    const slow = new PassThrough({ highWaterMark: 1024 });
    const sent = storage.send(key, undefined, () => slow);
    await pause(SILENCE_MS * 3);
    const read = buffer(slow);
    await within(20_000, 'all of it', sent);
    slow.end();
    expect((await read).equals(bytes)).toBe(true);

    const stuck = new PassThrough({ highWaterMark: 1024 });
    const failed = storage.send(key, undefined, () => stuck);
    failed.catch(() => undefined);
    await once(stuck, 'readable');
    wire.silence();
    stuck.resume().on('error', () => undefined);
    await expect(within(20_000, 'its end', failed)).rejects.not.toThrow(/not within/);
  }, 60_000);
});

describe('A bucket that takes its time', () => {
  let server: Server;

  beforeEach(async () => {
    // Reads slowly for three times as long as it may be silent, then answers.
    server = createServer((req, res) => {
      const timer = setInterval(() => req.read(256 * 1024), SILENCE_MS / 4);
      setTimeout(() => {
        clearInterval(timer);
        req.resume().once('end', () => res.writeHead(200, { etag: '"x"' }).end());
      }, SILENCE_MS * 3);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  test('gets a large part over a slow link', async () => {
    const endpoint = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const place = { ...makeBucketPlace(), endpoint };
    // Parts of 32 MiB: more than the system's buffers hold.
    const storage = new S3Storage(place, 320_000 * MIB, Date.now, SILENCE_MS);
    const body = Buffer.alloc(30 * MIB);
    async function* whole(): AsyncGenerator<Uint8Array> {
      yield* [body];
      await Promise.resolve();
    }
    await within(30_000, 'the upload', storage.write(newStorageKey(), whole(), never));
    storage.close();
  }, 60_000);
});

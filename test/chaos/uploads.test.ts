import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backends, makePlace, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { stores } from '../support/object-store.js';
import { eventually, within } from '../support/deadline.js';
import { ServerProcess } from '../support/process.js';
import { isMissing, services, startClamd } from '../support/services.js';
import { keptSoon, multipart, namesStored, oneFile, PNG, sql, uploadLarge } from '../support/uploads.js';
import { Wire } from '../support/wire.js';

const MIB = 1024 * 1024;
/** Postgres where there is one: then nothing but the server is in the server's memory. */
const backend = backends.at(-1)!;

let place: Place;
let server: ServerProcess;
let ada: Client;
let roomId: string;

describe.each(stores)('a server process that stores on %s', (store) => {
  beforeEach(async () => {
    place = await makePlace(backend, store);
    server = await ServerProcess.start(place);
    ada = await signUp(server.url);
    roomId = await ada.createRoom();
  });
  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  /** Measures by how much a large file grows the server, and tells how fast it was. */
  async function growth(mib: number): Promise<number> {
    // What it needs to take any file at all.
    await uploadLarge(ada, roomId, 2, 64);
    const before = await server.memory();
    let peak = before;
    const watch = setInterval(() => {
      void server.memory().then((now) => (peak = Math.max(peak, now)));
    }, 50);
    const began = performance.now();
    await uploadLarge(ada, roomId, 1, mib);
    clearInterval(watch);
    const rate = Math.round((mib * 1000) / (performance.now() - began));
    console.log(
      `${mib} MiB at ${rate} MiB/s into ${store} grew the server by ${Math.round((peak - before) / MIB)} MiB`,
    );
    return peak - before;
  }

  test.runIf(process.platform === 'linux')('takes a large file in flat memory', async () => {
    // The S3 server of the tests is slow.
    expect(await growth(store === 'disk' ? 512 : 192)).toBeLessThan(64 * MIB);
  });

  test.runIf(process.platform === 'linux' && store === 'disk' && !isMissing(services.clamd))(
    'scans a large file in flat memory',
    async () => {
      await using clamd = await startClamd('StreamMaxLength 600M', 'MaxScanSize 600M', 'MaxFileSize 600M');
      await server[Symbol.asyncDispose]();
      server = await ServerProcess.start(place, {
        CLAMAV_URL: clamd.url,
        CLAMAV_MAX_BYTES: String(600 * MIB),
      });
      ada = await signUp(server.url);
      roomId = await ada.createRoom();
      expect(await growth(320)).toBeLessThan(64 * MIB);
    },
  );

  test('that is killed in the middle of an upload leaves nothing once its lease has run out', async () => {
    const before = { stored: 0, rows: 0, leases: 0 };
    const request = await multipart(ada).head(...oneFile(roomId));
    await request.beginFile('file', 'x.png');
    await request.raw(Buffer.concat([PNG, randomBytes(8 * MIB)]));
    await expect.poll(() => namesStored(place)).toHaveLength(1);
    await server.kill('SIGKILL');
    await request.abort();
    expect(await namesStored(place)).toHaveLength(1);

    server = await ServerProcess.start(place);
    await delay(500);
    // Its lease may still be held by a process that lives.
    expect(await namesStored(place)).toHaveLength(1);
    if (backend === 'postgres') {
      await server.kill('SIGTERM');
      await sql(place, 'update upload_leases set expires_at = now()');
      server = await ServerProcess.start(place);
      await keptSoon(place, await signUp(server.url).then((bob) => joined(bob)), roomId, before);
    }
  });
});

describe.skipIf(!stores.includes('s3'))('a server process whose bucket falls silent', () => {
  test(
    'refuses what it cannot store, goes on with all else, and keeps what it took',
    { timeout: 240_000 },
    async () => {
      await using place = await makePlace(backend, 's3');
      await using wire = await Wire.to(place.env['S3_ENDPOINT'] ?? '');
      await using server = await ServerProcess.start(place, { S3_ENDPOINT: wire.url });
      const ada = await signUp(server.url);
      const roomId = await ada.createRoom();
      const taken = new Map<string, Buffer>();
      const upload = async (name: string): Promise<string> => {
        const bytes = Buffer.concat([PNG, randomBytes(6 * MIB)]);
        const { data, errors } = await ada.upload(roomId, name, bytes);
        if (errors[0] !== undefined) return String(errors[0].extensions['code']);
        taken.set(data['uploadFile'].file.url as string, bytes);
        return 'taken';
      };
      const status = async (): Promise<string> =>
        ((await (await fetch(`${server.url}/readyz`)).json()) as { status: string }).status;
      expect(await upload('before.png')).toBe('taken');

      const uploads = Promise.all(Array.from({ length: 4 }, (_, i) => upload(`during-${i}.png`)));
      wire.silence({ all: true });
      for (let i = 0; i < 10; i++) await within(5000, 'a post', ada.post(roomId, `post ${i}`));
      await eventually(10_000, 'word of it', async () => (await status()) === 'degraded');
      const refused = (await within(90_000, 'an answer to each', uploads)).filter((code) => code !== 'taken');
      expect(refused.length).toBeGreaterThan(0);
      expect(new Set(refused)).toEqual(new Set(['UNAVAILABLE']));

      wire.resume();
      await eventually(20_000, 'the bucket', async () => (await status()) === 'ok');
      expect(await upload('after.png')).toBe('taken');
      for (const [url, bytes] of taken)
        expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
      await eventually(
        90_000,
        'nothing else to be stored',
        async () => (await namesStored(place)).length === taken.size,
      );
    },
  );
});

async function joined(client: Client): Promise<Client> {
  await client.join(roomId);
  return client;
}

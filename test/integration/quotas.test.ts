import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { migrations } from '../../migrations/index.js';
import type { App } from '../../src/app.js';
import { connectPostgres } from '../../src/db/dialect.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import type { Answer, MultipartRequest } from '../support/multipart-request.js';
import {
  kept,
  keptSoon,
  manyFiles,
  multipart,
  namesStored,
  oneFile,
  picture,
  PNG,
  sql,
} from '../support/uploads.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REMOVE = `mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`;

interface Uses {
  readonly user: { usedBytes: number; limitBytes: number | null };
  readonly room: { usedBytes: number; limitBytes: number | null } | null;
}

async function uses(client: Client, roomId: string): Promise<Uses> {
  const { viewer, room } = await client.run(
    `query ($id: ID!) { viewer { storage { usedBytes limitBytes } } room(id: $id) { storage { usedBytes limitBytes } } }`,
    { id: roomId },
  );
  return { user: viewer.storage, room: room.storage };
}
const used = async (client: Client, roomId: string): Promise<(number | undefined)[]> => {
  const { user, room } = await uses(client, roomId);
  return [user.usedBytes, room?.usedBytes];
};

const send = async (
  client: Client,
  roomId: string,
  bytes: Buffer<ArrayBuffer>,
  more: Record<string, unknown> = {},
): Promise<string> => {
  const { data, errors } = await client.upload(roomId, 'x.png', bytes, more);
  return errors[0]?.extensions['code'] ?? data['uploadFile'].file.id;
};
const errorOf = ({ body }: Answer): { code: string; retryAfter?: number } =>
  JSON.parse(body).errors[0].extensions;

describe.each(backends)('On %s, files are counted', (backend) => {
  let place: Place;
  let app: App;
  let ada: Client;
  let bob: Client;
  let roomId: string;

  const start = async (more: Record<string, string>): Promise<void> => {
    place = await makePlace(backend);
    app = await startOn(place, more);
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
  };
  const end = async (): Promise<void> => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  };

  describe('without limits', () => {
    beforeAll(() => start({}));
    beforeEach(async () => {
      roomId = await ada.createRoom();
      await bob.join(roomId);
    });
    afterAll(end);

    test('for who uploaded them and for their room, until they are deleted', async () => {
      const [before] = await used(bob, roomId);
      const eve = await signUp(app.url);
      expect((await uses(eve, roomId)).room).toBeNull();
      const id = await send(bob, roomId, picture(1000));
      await send(ada, roomId, picture(500));
      expect(await uses(bob, roomId)).toEqual({
        user: { usedBytes: before! + 1000, limitBytes: null },
        room: { usedBytes: 1500, limitBytes: null },
      });
      // By another one than who is counted.
      await ada.run(REMOVE, { id });
      expect(await used(bob, roomId)).toEqual([before, 500]);
      expect(await ada.refusal(REMOVE, { id })).toBe('NOT_FOUND');
      expect(await used(bob, roomId)).toEqual([before, 500]);
    });

    test('once, however often they are sent with one key, and not at all when they fail', async () => {
      const [before] = await used(ada, roomId);
      const bytes = picture(1000);
      const sent = await Promise.all(
        [1, 2, 3].map(() => send(ada, roomId, bytes, { idempotencyKey: roomId })),
      );
      expect(new Set(sent).size).toBe(1);
      expect(await send(ada, roomId, bytes, { idempotencyKey: roomId })).toBe(sent[0]);
      expect(await send(ada, roomId, picture(999), { idempotencyKey: roomId })).toBe('CONFLICT');
      expect(await send(ada, roomId, randomBytes(100))).toBe('FILE_TYPE_NOT_ALLOWED');
      expect(await used(ada, roomId)).toEqual([before! + 1000, 1000]);
    });

    test.runIf(backend === 'postgres')('also those from before there was a count', async () => {
      await send(bob, roomId, picture(700));
      const gone = await send(bob, roomId, picture(600));
      await bob.run(REMOVE, { id: gone });
      const before = await used(bob, roomId);
      const db = connectPostgres({ databasePoolSize: 2 }, place.env['DATABASE_URL']!, createLogger('silent'));
      const { up, down } = migrations['0011_storage_use']!;
      await down!(db);
      await up(db);
      await db.destroy();
      expect(await used(bob, roomId)).toEqual(before);
      expect(before[1]).toBe(700);
    });
  });

  describe('up to a limit', () => {
    beforeAll(() => start({ QUOTA_USER_BYTES: String(4 * MIB), QUOTA_ROOM_BYTES: String(3 * MIB) }));
    beforeEach(async () => {
      [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
      roomId = await ada.createRoom();
      await bob.join(roomId);
    });
    afterAll(end);

    test('of a room, to the byte, whoever uploads', async () => {
      expect(await send(ada, roomId, picture(2 * MIB))).toMatch(/^file_/);
      const before = await kept(place, ada, roomId);
      expect(await send(bob, roomId, picture(MIB + 1))).toBe('QUOTA_EXCEEDED');
      await keptSoon(place, ada, roomId, before);
      await send(bob, roomId, picture(MIB));
      expect(await used(bob, roomId)).toEqual([MIB, 3 * MIB]);
      expect(await send(ada, roomId, PNG)).toBe('QUOTA_EXCEEDED');
    });

    test('of a user, to the byte, in whatever room, and anew once something is deleted', async () => {
      const id = await send(ada, roomId, picture(3 * MIB));
      const other = await ada.createRoom();
      expect(await send(ada, other, picture(MIB + 1))).toBe('QUOTA_EXCEEDED');
      await send(ada, other, picture(MIB));
      expect(await send(ada, other, PNG)).toBe('QUOTA_EXCEEDED');
      await ada.run(REMOVE, { id });
      expect(await send(ada, other, picture(MIB))).toMatch(/^file_/);
      expect(await uses(ada, other)).toEqual({
        user: { usedBytes: 2 * MIB, limitBytes: 4 * MIB },
        room: { usedBytes: 2 * MIB, limitBytes: 3 * MIB },
      });
    });

    test('and what does not fit is refused before its end', async () => {
      const before = await kept(place, ada, roomId);
      const request = multipart(ada, { 'content-length': String(1024 * MIB) });
      await request.head(...oneFile(roomId));
      await request.beginFile('file', 'x.png');
      await request.raw(PNG);
      for (let i = 0; i < 12; i += 1) await request.raw(randomBytes(MIB));
      const answer = await request.answer;
      expect([answer.status, errorOf(answer).code]).toEqual([413, 'QUOTA_EXCEEDED']);
      await keptSoon(place, ada, roomId, before);
    });

    test('and a file that is there already is answered, full or not', async () => {
      const bytes = picture(2 * MIB);
      const first = await send(ada, roomId, bytes, { idempotencyKey: 'full' });
      expect(await send(ada, roomId, bytes)).toBe('QUOTA_EXCEEDED');
      expect(await send(ada, roomId, bytes, { idempotencyKey: 'full' })).toBe(first);
      expect(await used(ada, roomId)).toEqual([2 * MIB, 2 * MIB]);
    });

    test('and one of many that does not fit sinks no others', async () => {
      const request = await multipart(ada).head(...manyFiles(roomId, 4));
      for (const [i, size] of [MIB, 3 * MIB, MIB, MIB].entries())
        await request.file(String(i), `${i}.png`, picture(size));
      const { outcomes } = JSON.parse((await request.end()).body).data.uploadFiles;
      expect(outcomes.map((one: any) => one.code ?? 'stored')).toEqual([
        'stored',
        'QUOTA_EXCEEDED',
        'stored',
        'stored',
      ]);
      expect(await used(ada, roomId)).toEqual([3 * MIB, 3 * MIB]);
    });
  });

  describe('over processes', () => {
    test.each([
      ['a user', { QUOTA_USER_BYTES: String(7 * 100 * KIB) }],
      ['a room', { QUOTA_ROOM_BYTES: String(8 * 100 * KIB - 1) }],
    ])('to the byte, where twenty come at once and %s has room for seven', async (_whose, limits) => {
      await start(limits);
      const second = backend === 'postgres' ? await startOn(place, limits) : undefined;
      roomId = await ada.createRoom();
      const ways = [ada, second === undefined ? ada : new Client(second.url, ada.token)];
      const sent = await Promise.all(
        Array.from({ length: 20 }, (_, i) => send(ways[i % 2]!, roomId, picture(100 * KIB))),
      );
      expect(sent.filter((one) => one === 'QUOTA_EXCEEDED')).toHaveLength(13);
      expect(await used(ada, roomId)).toEqual([700 * KIB, 700 * KIB]);
      await keptSoon(place, ada, roomId, { stored: 7, rows: 7, leases: 0 });
      await second?.[Symbol.asyncDispose]();
      await end();
    });
  });

  describe('while they are under way', () => {
    let second: App | undefined;
    const limits = { UPLOADS_AT_ONCE: '2' };

    beforeAll(async () => {
      await start(limits);
      if (backend === 'postgres') second = await startOn(place, limits);
      roomId = await ada.createRoom();
      await bob.join(roomId);
    });
    afterAll(async () => {
      await second?.[Symbol.asyncDispose]();
      await end();
    });

    const begin = async (client: Client): Promise<MultipartRequest> => {
      const before = (await namesStored(place)).length;
      const request = await multipart(client).head(...oneFile(roomId));
      await request.beginFile('file', 'x.png');
      await request.raw(picture(2 * MIB));
      await eventually(
        10_000,
        'the beginning of an upload',
        async () => (await namesStored(place)).length > before,
      );
      return request;
    };

    test('up to so many of one user', async () => {
      const elsewhere = second === undefined ? ada : new Client(second.url, ada.token);
      const [first, other] = [await begin(ada), await begin(elsewhere)];
      for (const client of [ada, elsewhere]) {
        const { errors } = await client.upload(roomId, 'x.png', PNG);
        expect(errors[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 5 });
      }
      expect(await send(bob, roomId, PNG)).toMatch(/^file_/);
      await first.raw('\r\n');
      expect(JSON.parse((await first.end()).body).errors).toBeUndefined();
      expect(await send(ada, roomId, PNG)).toMatch(/^file_/);
      await other.abort();
    });

    test('and the files of one request are never in the way of each other', async () => {
      await eventually(
        10_000,
        'the end of all uploads',
        async () => backend !== 'postgres' || (await sql(place, 'select from upload_leases')).length === 0,
      );
      const request = await multipart(bob).head(...manyFiles(roomId, 12));
      for (let i = 0; i < 12; i += 1) await request.file(String(i), `${i}.png`, picture(100 + i));
      const { outcomes } = JSON.parse((await request.end()).body).data.uploadFiles;
      expect(outcomes.map((one: any) => one.code ?? one.file.name)).toEqual(
        Array.from({ length: 12 }, (_, i) => `${i}.png`),
      );
    });
  });
});

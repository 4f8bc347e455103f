import { createHash, randomBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startOn, startParley, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import {
  at,
  CANCEL_UPLOAD,
  CREATE_UPLOAD,
  createUpload,
  ended,
  hang,
  offsetOf,
  patch,
  picture,
  sendByTus,
  sendUntil,
  sha256,
  tusRequest,
  uploadOf,
  type Session,
  type TusAnswer,
} from '../support/resumable.js';
import { deriveKey } from '../../src/accounts/tokens.js';
import { checkFiles } from '../../src/files/files-check.js';
import { openStorage } from '../../src/files/storage/open.js';
import { readConfig } from '../../src/config/env.js';
import { connectPostgres } from '../../src/db/dialect.js';
import { createLogger } from '../../src/observability/logger.js';
import { Random } from '../chaos/random.js';
import { send, type Upload } from '../contract/recipes/tus.js';
import { secretOf } from '../support/tokens.js';
import { kept, keptSoon, sql, type Kept } from '../support/uploads.js';
import { kinds } from '../support/kinds.js';

const MIB = 1024 * 1024;

const subjectOf = (token: string): string => (jwt.decode(token) as { sub: string }).sub;

describe.each(kinds)('resumable uploads on $backend, into $store', ({ backend, store }) => {
  let app: App & { place: Place };
  let ada: Client;
  let bob: Client;
  let roomId: string;
  let before: Kept;

  beforeAll(async () => {
    app = await startParley(backend, { UPLOAD_MAX_BYTES: String(64 * MIB) }, store);
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
  });
  beforeEach(async () => {
    roomId = await ada.createRoom();
    before = await kept(app.place, ada, roomId);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test.each([100, 5 * MIB, 12 * MIB + 345])(
    'a file of %d bytes is sent by tus-js-client, and shown',
    async (size) => {
      const bytes = picture(size);
      const upload = await createUpload(ada, roomId, size);
      expect(upload).toMatchObject({ state: 'RECEIVING', offset: 0, size, name: 'soup.png', file: null });
      await sendByTus(bytes, upload['url'], upload['token'].token);
      const done = await ended(ada, upload['id']);
      expect(done).toMatchObject({
        state: 'DONE',
        offset: size,
        url: null,
        token: null,
        file: {
          name: 'soup.png',
          mimeType: 'image/png',
          size,
          sha256: sha256(bytes),
          uploader: { id: ada.userId },
        },
      });
      const served = Buffer.from(await (await fetch(done['file'].url)).arrayBuffer());
      expect(sha256(served)).toBe(sha256(bytes));
      await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 1, rows: before.rows + 1 });
      expect(await uploadOf(bob, upload['id'])).toBeNull();
    },
  );

  const nothingKept = (): Promise<void> => keptSoon(app.place, ada, roomId, before);
  const begin = async (
    size: number,
    more: object = {},
  ): Promise<{ upload: Session; url: string; token: string }> => {
    const upload = await createUpload(ada, roomId, size, more);
    return { upload, url: at(app.url, upload), token: upload['token'].token };
  };
  const refusal = async (input: object, client = ada): Promise<string> =>
    client.refusal(CREATE_UPLOAD, { input: { roomId, name: 'a.png', size: 100, ...input } });

  test('an upload that is cut at any place goes on from there, and is the same file', async () => {
    const random = new Random(20261128);
    for (let round = 0; round < 3; round += 1) {
      const bytes = picture(Math.floor(random.between(6 * MIB, 20 * MIB)));
      const { upload, url, token } = await begin(bytes.length);
      for (let cuts = Math.floor(random.between(1, 5)); cuts > 0; cuts -= 1) {
        const offset = await offsetOf(url, token);
        await sendUntil(bytes, url, token, Math.floor(random.between(offset, bytes.length)));
        expect(await offsetOf(url, token)).toBeGreaterThanOrEqual(offset);
      }
      await sendByTus(bytes, url, token);
      expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
    }
    await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 3, rows: 3 });
  });

  test('an upload in many small requests is the same file', async () => {
    const bytes = picture(7 * MIB + 1);
    const { upload, url, token } = await begin(bytes.length);
    await sendByTus(bytes, url, token, { chunkSize: 900_000 });
    expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
    await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 1, rows: 1 });
  });

  test('the recipe of the README sends a file', async () => {
    const bytes = picture(1000);
    const upload = await createUpload(ada, roomId, bytes.length);
    await send(bytes, upload as Upload);
    expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
    await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 1, rows: 1 });
  });

  test('what cannot become a file is refused before a byte is sent', async () => {
    expect(await refusal({ size: 64 * MIB + 1 })).toBe('FILE_TOO_LARGE');
    expect(await refusal({ size: 0 })).toBe('BAD_USER_INPUT');
    expect(await refusal({ size: -1 })).toBe('BAD_USER_INPUT');
    expect(await refusal({}, bob)).toBe('FORBIDDEN');
    roomId = await ada.createRoom('PRIVATE');
    expect(await refusal({}, bob)).toBe('NOT_FOUND');
    await nothingKept();
  });

  test.skipIf(store === 's3')('a user has fifty uploads that are not over at most', async () => {
    const eve = await signUp(app.url);
    await eve.join(roomId);
    const uploads: Session[] = [];
    for (let i = 0; i < 50; i += 1) uploads.push(await createUpload(eve, roomId, 100));
    expect(await refusal({}, eve)).toBe('QUOTA_EXCEEDED');
    await eve.run(CANCEL_UPLOAD, { id: uploads[0]!['id'] });
    uploads.push(await createUpload(eve, roomId, 100));
    for (const { id } of uploads.slice(1)) await eve.run(CANCEL_UPLOAD, { id });
    await nothingKept();
  });

  test('the same key and input answer the same upload, with a token that is good; with another input it is a conflict', async () => {
    const key = { idempotencyKey: 'soup', size: 1000 };
    const { upload } = await begin(1000, key);
    const again = await begin(1000, key);
    expect(again.upload['id']).toBe(upload['id']);
    expect(await offsetOf(again.url, again.token)).toBe(0);
    expect(await refusal({ ...key, name: 'other.png' })).toBe('CONFLICT');
    await ada.run(CANCEL_UPLOAD, { id: upload['id'] });
    await nothingKept();
  });

  test('a complete upload is ended by DELETE too, and its file stays', async () => {
    const { upload, url, token } = await begin(1000);
    const bytes = picture(1000);
    expect((await patch(url, token, 0, bytes)).status).toBe(204);
    expect((await tusRequest(url, 'DELETE', token)).status).toBe(204);
    expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
    expect((await tusRequest(url, 'DELETE', token)).status).toBe(204);
    expect(await ended(ada, upload['id'])).toMatchObject({ state: 'DONE' });
  });

  test('only the token of an upload opens it', async () => {
    const { url, token, upload } = await begin(1000);
    const other = await begin(1000);
    const expired = jwt.sign(
      { exp: Math.floor(Date.now() / 1000) - 1 },
      deriveKey(await secretOf(app.place), 'upload token'),
      {
        audience: 'parley upload',
        subject: subjectOf(token),
      },
    );
    const body = picture(1000);
    for (const [bad, expected] of [
      [undefined, 401],
      ['nonsense', 401],
      [ada.token, 401],
      [expired, 401],
      [other.token, 403],
    ] as const) {
      expect((await tusRequest(url, 'HEAD', bad)).status).toBe(expected);
      expect((await patch(url, bad, 0, body)).status).toBe(expected);
      expect((await tusRequest(url, 'DELETE', bad)).status).toBe(expected);
    }
    // Nor is it good for anything else.
    const asked = await new Client(app.url, token).ask('{ viewer { id } }');
    expect(asked.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
    expect(await offsetOf(url, token)).toBe(0);
    for (const { id } of [upload, other.upload]) await ada.run(CANCEL_UPLOAD, { id });
    await nothingKept();
  });

  test('bytes at another offset, and more than were announced, are refused', async () => {
    const bytes = picture(1000);
    const { url, token, upload } = await begin(1000);
    expect((await patch(url, token, 1, bytes.subarray(1))).status).toBe(409);
    expect((await patch(url, token, 0, Buffer.concat([bytes, bytes]))).status).toBe(413);
    expect((await patch(url, token, 0, bytes, { 'content-type': 'image/png' })).status).toBe(415);
    expect((await patch(url, token, 0, bytes, { 'content-encoding': 'gzip' })).status).toBe(415);
    expect(await offsetOf(url, token)).toBe(0);
    const half = await patch(url, token, 0, bytes.subarray(0, 500));
    expect([half.status, half.headers['upload-offset']]).toEqual([204, '500']);
    expect(Date.parse(half.headers['upload-expires'] as string)).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    expect((await patch(url, token, 0, bytes.subarray(0, 500))).status).toBe(409);
    expect((await tusRequest(url, 'DELETE', token)).status).toBe(204);
    expect((await tusRequest(url, 'HEAD', token)).status).toBe(404);
    expect(await uploadOf(ada, upload['id'])).toBeNull();
    await nothingKept();
  });

  test('bytes that are not those of the checksum are thrown away', async () => {
    const bytes = picture(12 * MIB);
    const { url, token, upload } = await begin(bytes.length);
    const part = (from: number, to: number, checked: Buffer, algorithm = 'sha1'): Promise<TusAnswer> =>
      patch(url, token, from, bytes.subarray(from, to), {
        'upload-checksum': `${algorithm} ${createHash(algorithm).update(checked).digest('base64')}`,
      });
    const cut = 11 * MIB;
    expect((await part(0, 1000, bytes.subarray(0, 1000))).status).toBe(204);
    expect((await part(1000, cut, bytes)).status).toBe(460);
    expect(await offsetOf(url, token)).toBe(1000);
    expect((await part(1000, cut, bytes.subarray(1000, cut), 'sha256')).status).toBe(204);
    expect((await part(cut, bytes.length, bytes)).status).toBe(460);
    const bad = await patch(url, token, cut, bytes.subarray(cut), { 'upload-checksum': 'crc32 AAAA' });
    expect(bad.status).toBe(400);
    expect((await part(cut, bytes.length, bytes.subarray(cut), 'md5')).status).toBe(204);
    expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
    await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 1, rows: 1 });
  });

  test('a file that lies about its type is refused with the reason, and nothing is left of it', async () => {
    for (const size of [100, 6 * MIB]) {
      const { upload, url, token } = await begin(size, { mimeType: 'image/png' });
      await sendByTus(randomBytes(size), url, token);
      expect(await ended(ada, upload['id'])).toMatchObject({
        state: 'REFUSED',
        code: 'FILE_TYPE_NOT_ALLOWED',
        message: expect.stringContaining('application/octet-stream') as string,
        file: null,
        url: null,
      });
      expect((await tusRequest(url, 'HEAD', token)).status).toBe(410);
    }
    await nothingKept();
  });

  test('an upload that does not fit beside those that are open is refused when it begins', async () => {
    await using small = await startParley('embedded', { QUOTA_USER_BYTES: '1500' });
    const eve = await signUp(small.url);
    const room = await eve.createRoom();
    const input = { roomId: room, name: 'a.png', size: 1501 };
    expect(await eve.refusal(CREATE_UPLOAD, { input })).toBe('QUOTA_EXCEEDED');
    const upload = await createUpload(eve, room, 1000);
    expect(await eve.refusal(CREATE_UPLOAD, { input: { ...input, size: 501 } })).toBe('QUOTA_EXCEEDED');
    await sendByTus(picture(1000), upload['url'], upload['token'].token);
    expect(await ended(eve, upload['id'])).toMatchObject({ state: 'DONE' });
    expect(await eve.refusal(CREATE_UPLOAD, { input: { ...input, size: 501 } })).toBe('QUOTA_EXCEEDED');
    await keptSoon(small.place, eve, room, { stored: 1, rows: 1, leases: 0 });
  });

  test('an upload of one who has left the room is refused, and nothing is left of it', async () => {
    await bob.join(roomId);
    const bytes = picture(6 * MIB);
    const upload = await createUpload(bob, roomId, bytes.length);
    const url = at(app.url, upload);
    expect((await patch(url, upload['token'].token, 0, bytes.subarray(0, 5 * MIB))).status).toBe(204);
    await bob.run(`mutation ($id: ID!) { leaveRoom(input: { roomId: $id }) { roomId } }`, { id: roomId });
    expect((await patch(url, upload['token'].token, 5 * MIB, bytes.subarray(5 * MIB))).status).toBe(204);
    expect(await ended(bob, upload['id'])).toMatchObject({ state: 'REFUSED', code: 'FORBIDDEN' });
    await nothingKept();
  });

  test('cancelling leaves nothing, also of an upload that is being sent', async () => {
    const bytes = picture(10 * MIB);
    const { upload, url, token } = await begin(bytes.length);
    const hanging = hang(url, token, bytes.subarray(0, 6 * MIB), bytes.length);
    await eventually(20_000, 'bytes have arrived', () => hanging.sent());
    expect(await bob.refusal(CANCEL_UPLOAD, { id: upload['id'] })).toBe('NOT_FOUND');
    await ada.run(CANCEL_UPLOAD, { id: upload['id'] });
    expect(await uploadOf(ada, upload['id'])).toBeNull();
    await hanging.over;
    await nothingKept();
    const done = await begin(100);
    await sendByTus(picture(100), done.url, done.token);
    await ended(ada, done.upload['id']);
    expect(await ada.refusal(CANCEL_UPLOAD, { id: done.upload['id'] })).toBe('CONFLICT');
  });

  test('the newest request takes the upload from one that hangs, and what that had sent is kept', async () => {
    const bytes = picture(9 * MIB);
    const { upload, url, token } = await begin(bytes.length);
    const sent = 6 * MIB;
    const hanging = hang(url, token, bytes.subarray(0, sent), bytes.length);
    await eventually(20_000, 'bytes have arrived', () => hanging.sent());
    const offset = await offsetOf(url, token);
    expect(offset).toBeLessThanOrEqual(sent);
    await hanging.over;
    await sendByTus(bytes, url, token);
    expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
    await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 1, rows: 1 });
  });

  test.skipIf(backend === 'embedded')(
    'an upload goes on at another process, which takes it from the first',
    async () => {
      await using other = await startOn(app.place, { UPLOAD_MAX_BYTES: String(64 * MIB) });
      const bytes = picture(9 * MIB);
      const { upload, url, token } = await begin(bytes.length);
      const hanging = hang(url, token, bytes.subarray(0, 6 * MIB), bytes.length);
      await eventually(20_000, 'bytes have arrived', () => hanging.sent());
      await sendByTus(bytes, at(other.url, upload), token);
      await hanging.over;
      expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
      await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 1, rows: 1 });
    },
  );

  test.skipIf(backend === 'embedded')(
    'an upload that is left alone expires with its bytes, and its owner is told',
    async () => {
      const bytes = picture(8 * MIB);
      const { upload, url, token } = await begin(bytes.length);
      const live = await begin(1000);
      expect((await patch(url, token, 0, bytes.subarray(0, 7 * MIB))).status).toBe(204);
      // Half written, and claimed: nothing is found wrong, and nothing mended away.
      const config = readConfig({ ...app.place.env, DATA_DIR: app.place.dataDir });
      const opened = await openStorage(config);
      const logger = createLogger('silent');
      const db = connectPostgres(config, config.databaseUrl ?? '', logger);
      const told: string[] = [];
      const tell = (line: string): void => void told.push(line);
      const deps = { db, storage: opened.storage, logger, tell };
      expect([await checkFiles(deps, { mend: true, hashes: false }), told]).toEqual([
        true,
        [expect.any(String)],
      ]);
      expect(await offsetOf(url, token)).toBe(7 * MIB);

      // A day goes by.
      const id = subjectOf(token);
      await sql(
        app.place,
        `with expired as (update upload_sessions set expires_at = now() where id = $1 returning *)
       update upload_leases set expires_at = now() where storage_key in (
         select unnest(array[storage_key, tail_key]) from expired
         union select storage_key from upload_parts where upload_id = $1)`,
        [id],
      );
      expect((await tusRequest(url, 'HEAD', token)).status).toBe(410);
      expect((await patch(url, token, 7 * MIB, bytes.subarray(7 * MIB))).status).toBe(410);
      await ada.run(CANCEL_UPLOAD, { id: live.upload['id'] });
      await nothingKept();
      expect(await uploadOf(ada, upload['id'])).toMatchObject({
        state: 'EXPIRED',
        url: null,
        token: null,
        expiresAt: null,
      });
      expect(await ada.refusal(CANCEL_UPLOAD, { id: upload['id'] })).toBe('CONFLICT');
      opened.close();
      await db.destroy();
    },
  );
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { stores } from '../support/object-store.js';
import { CANCEL_UPLOAD, ended, picture, sha256, tusRequest, type Session } from '../support/resumable.js';
import { isMissing, services } from '../support/services.js';
import { kept, keptSoon, namesStored, type Kept } from '../support/uploads.js';

const MIB = 1024 * 1024;
const PART = 8 * MIB;

const FIELDS =
  'id state offset url token { token } code partCount parts { number size url } file { sha256 size }';
const CREATE = `mutation ($input: CreateUploadInput!) { createDirectUpload(input: $input) { upload { ${FIELDS} } } }`;
const COMPLETE = `mutation ($input: CompleteDirectUploadInput!) { completeDirectUpload(input: $input) { upload { ${FIELDS} } } }`;
const PARTS =
  'query ($id: ID!, $numbers: [Int!]) { upload(id: $id) { parts(numbers: $numbers) { number size url } } }';

test('direct uploads are refused where there is no bucket', async () => {
  await using app = await startParley();
  const ada = await signUp(app.url);
  const roomId = await ada.createRoom();
  const { errors } = await ada.ask(CREATE, { input: { roomId, name: 'a.png', size: 100 } });
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
});

describe.skipIf(stores.length < 2 || isMissing(services.postgres))('direct uploads', () => {
  let app: App & { place: Place };
  let ada: Client;
  let bob: Client;
  let roomId: string;
  let before: Kept;

  beforeAll(async () => {
    app = await startParley('postgres', { UPLOAD_MAX_BYTES: String(64 * MIB) }, 's3');
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
  });
  beforeEach(async () => {
    roomId = await ada.createRoom();
    before = await kept(app.place, ada, roomId);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const nothingKept = (): Promise<void> => keptSoon(app.place, ada, roomId, before);
  const begin = async (size: number, more: object = {}): Promise<Session> => {
    const input = { roomId, name: 'soup.png', size, ...more };
    return (await ada.run(CREATE, { input }))['createDirectUpload'].upload;
  };
  const put = async (url: string, body: Buffer): Promise<{ status: number; etag: string }> => {
    const answer = await fetch(url, { method: 'PUT', body: new Uint8Array(body) });
    await answer.arrayBuffer();
    return { status: answer.status, etag: answer.headers.get('etag') ?? '' };
  };
  const send = async (upload: Session, bytes: Buffer): Promise<{ number: number; etag: string }[]> => {
    const sent = [];
    for (const { number, size, url } of upload['parts'] as { number: number; size: number; url: string }[]) {
      const start = (number - 1) * PART;
      const { status, etag } = await put(url, bytes.subarray(start, start + size));
      expect(status).toBe(200);
      sent.push({ number, etag });
    }
    return sent;
  };
  const complete = (uploadId: string, parts: object[]): Promise<Session> =>
    ada.run(COMPLETE, { input: { uploadId, parts } });

  test.each([100, PART, 2 * PART + 345])(
    'a file of %d bytes is sent to the bucket, checked, and shown',
    async (size) => {
      const bytes = picture(size);
      const upload = await begin(size);
      expect(upload).toMatchObject({
        state: 'RECEIVING',
        url: null,
        token: null,
        partCount: Math.ceil(size / PART),
      });
      const parts = await send(upload, bytes);
      await complete(upload['id'], parts.reverse());
      expect(await ended(ada, upload['id'])).toMatchObject({
        state: 'DONE',
        file: { sha256: sha256(bytes), size },
      });
      // Said again, as after an answer that was lost.
      const again = (await complete(upload['id'], parts))['completeDirectUpload'];
      expect(again.upload).toMatchObject({ state: 'DONE', parts: null });
      await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 1, rows: 1 });
      // Nothing can be put there any more.
      expect((await put(upload['parts'][0].url, bytes.subarray(0, Math.min(size, PART)))).status).toBe(404);
    },
  );

  test('an address takes as many bytes as it is for, and no others', async () => {
    const upload = await begin(PART + 100);
    expect(upload['parts'].map(({ size }: Session) => size)).toEqual([PART, 100]);
    expect((await put(upload['parts'][1].url, randomBytes(101))).status).toBe(403);
    expect((await put(upload['parts'][1].url, randomBytes(100))).status).toBe(200);
    const { upload: seen } = await ada.run(PARTS, { id: upload['id'], numbers: [2] });
    expect(seen.parts).toMatchObject([{ number: 2, size: 100 }]);
    for (const numbers of [[0], [3], Array.from({ length: 101 }, () => 1)])
      expect(await ada.refusal(PARTS, { id: upload['id'], numbers })).toBe('BAD_USER_INPUT');
    expect(await bob.run(PARTS, { id: upload['id'] })).toEqual({ upload: null });
    await ada.run(CANCEL_UPLOAD, { id: upload['id'] });
    await nothingKept();
    expect((await put(upload['parts'][0].url, randomBytes(PART))).status).toBe(404);
    expect((await namesStored(app.place)).length).toBe(before.stored);
  });

  test('the same key and input answer the same upload', async () => {
    const key = { idempotencyKey: 'direct' };
    const upload = await begin(100, key);
    expect((await begin(100, key))['id']).toBe(upload['id']);
    const other = { roomId, name: 'soup.png', size: 101, ...key };
    expect(await ada.refusal(CREATE, { input: other })).toBe('CONFLICT');
    await ada.run(CANCEL_UPLOAD, { id: upload['id'] });
    await nothingKept();
  });

  test('parts that are missing, and such as are not in the bucket, make no file', async () => {
    const bytes = picture(PART + 100);
    const upload = await begin(bytes.length);
    const [first, second] = await send(upload, bytes);
    const refused = (parts: object[]): Promise<string> =>
      ada.refusal(COMPLETE, { input: { uploadId: upload['id'], parts } });
    expect(await refused([first!])).toBe('BAD_USER_INPUT');
    expect(await refused([first!, first!])).toBe('BAD_USER_INPUT');
    expect(await refused([first!, { ...second!, number: 3 }])).toBe('BAD_USER_INPUT');
    expect(await bob.refusal(COMPLETE, { input: { uploadId: upload['id'], parts: [first!, second!] } })).toBe(
      'NOT_FOUND',
    );
    await complete(upload['id'], [first!, { number: 2, etag: `"${randomBytes(16).toString('hex')}"` }]);
    expect(await ended(ada, upload['id'])).toMatchObject({
      state: 'REFUSED',
      code: 'UPLOAD_INCOMPLETE',
      file: null,
    });
    await nothingKept();
  });

  test('a file that lies about its type is refused, and nothing is left of it', async () => {
    const bytes = randomBytes(100);
    const upload = await begin(bytes.length, { mimeType: 'image/png' });
    await complete(upload['id'], await send(upload, bytes));
    expect(await ended(ada, upload['id'])).toMatchObject({ state: 'REFUSED', code: 'FILE_TYPE_NOT_ALLOWED' });
    await nothingKept();
  });

  test('tus knows nothing of a direct upload', async () => {
    const upload = await begin(100);
    const { status } = await tusRequest(`${app.url}/uploads/${upload['id']}`, 'HEAD', undefined);
    expect(status).toBe(401);
    await ada.run(CANCEL_UPLOAD, { id: upload['id'] });
    await nothingKept();
  });
});

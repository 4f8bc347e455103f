import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { newStorageKey } from '../../src/files/storage/storage.js';
import { startOn, startParley, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import type { Answer } from '../support/multipart-request.js';
import {
  kept,
  keptSoon,
  leaveHalfWritten,
  manyFiles,
  multipart,
  namesStored,
  oneFile,
  picture,
  PNG,
  sql,
  UPLOAD_FILE,
  type Kept,
} from '../support/uploads.js';
import { kinds } from '../support/kinds.js';

const MIB = 1024 * 1024;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const outcomesOf = ({ body }: Answer): any[] => JSON.parse(body).data.uploadFiles.outcomes;
const codesOf = (answer: Answer): string[] =>
  outcomesOf(answer).map((outcome) => outcome.code ?? outcome.file.name);
const errorOf = ({ body }: Answer): string => JSON.parse(body).errors[0].extensions.code;

describe.each(kinds)('uploads on $backend, into $store', ({ backend, store }) => {
  let app: App & { place: Place };
  let ada: Client;
  let bob: Client;
  let roomId: string;
  let before: Kept;

  beforeAll(async () => {
    app = await startParley(backend, { UPLOAD_MAX_BYTES: String(4 * MIB) }, store);
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
  });
  beforeEach(async () => {
    roomId = await ada.createRoom();
    before = await kept(app.place, ada, roomId);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const nothingKept = (): Promise<void> => keptSoon(app.place, ada, roomId, before);
  /** Resolves when an upload is on its way in. Of a small one a bucket knows nothing before it is whole. */
  const begun = (): Promise<unknown> =>
    eventually(10_000, 'the beginning of an upload', async () => {
      const { stored, leases } = await kept(app.place, ada, roomId);
      return stored > before.stored || leases > before.leases;
    });
  const keptMore = (count: number): Promise<void> =>
    keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + count, rows: before.rows + count });

  test('a file is stored whole, judged by its bytes, and told to the room', async () => {
    const client = live(ada);
    const feed = subscribe(
      client,
      `subscription ($roomId: ID!) { fileAdded(roomId: $roomId) { fileId file { id name } actor { id } } }`,
      { roomId },
    );
    const log = subscribe(client, ROOM_EVENTS, { roomId, last: 1 });
    await log.take(1, 'roomEvents');
    const bytes = picture(3 * MIB);
    const { data } = await ada.upload(roomId, '../holiday.exe', new Uint8Array(bytes));
    expect(data['uploadFile'].file).toMatchObject({
      name: 'holiday.exe',
      mimeType: 'image/png',
      size: 3 * MIB,
      sha256: sha256(bytes),
    });
    const [event] = await feed.take(1, 'fileAdded');
    const { id } = data['uploadFile'].file;
    expect(event).toEqual({ fileId: id, file: { id, name: 'holiday.exe' }, actor: { id: ada.userId } });
    await keptMore(1);
    await client.dispose();
  });

  test('files of one request may arrive in any order, and are answered in the order asked', async () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      const request = await multipart(ada).head(...manyFiles(roomId, 3));
      for (const i of order) await request.file(String(i), `${i}.png`, picture(MIB + i));
      const outcomes = outcomesOf(await request.end());
      expect(outcomes.map(({ file }) => [file.name, file.size])).toEqual(
        [0, 1, 2].map((i) => [`${i}.png`, MIB + i]),
      );
    }
    await keptMore(9);
  });

  test('a file that a later field wants first costs the one before it', async () => {
    const query = `mutation ($a: UploadFileInput!, $b: UploadFileInput!) {
      b: uploadFile(input: $b) { file { name } } a: uploadFile(input: $a) { file { name } } }`;
    const variables = { a: { roomId, file: null }, b: { roomId, file: null } };
    const request = await multipart(ada).head(
      { query, variables },
      { a: ['variables.a.file'], b: ['variables.b.file'] },
    );
    await request.file('a', 'a.png', picture(100_000));
    await request.file('b', 'b.png', picture(100_000));
    const { data, errors } = JSON.parse((await request.end()).body);
    expect(data).toEqual({ a: null, b: { file: { name: 'b.png' } } });
    expect(errors).toMatchObject([{ path: ['a'], extensions: { code: 'UPLOAD_INCOMPLETE' } }]);
    await keptMore(1);
  });

  test('one bad file does not sink the others', async () => {
    const request = await multipart(ada).head(...manyFiles(roomId, 6));
    await request.file('0', 'too-large.png', picture(5 * MIB));
    await request.file('1', 'good.png', picture(MIB));
    await request.file(
      '2',
      'program.png',
      Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01\0', 'latin1'), randomBytes(2 * MIB)]),
      'image/png',
    );
    await request.file('3', 'empty.png', '');
    await request.file('4', 'picture.png', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/png');
    await request.file('5', 'good.txt', 'text');
    const answer = await request.end();
    expect(codesOf(answer)).toEqual([
      'FILE_TOO_LARGE',
      'good.png',
      'FILE_TYPE_NOT_ALLOWED',
      'BAD_USER_INPUT',
      'FILE_TYPE_NOT_ALLOWED',
      'good.txt',
    ]);
    expect(outcomesOf(answer)[0]).toMatchObject({ __typename: 'RejectedFile', name: 'too-large.png' });
    await keptMore(2);
  });

  test.each([
    ['too large', picture(4 * MIB + 1), 'FILE_TOO_LARGE'],
    ['empty', Buffer.alloc(0), 'BAD_USER_INPUT'],
    [
      'a program that claims to be a picture',
      Buffer.from('MZ\x90\0\x03\0\0\0', 'latin1'),
      'FILE_TYPE_NOT_ALLOWED',
    ],
    [
      'a page that claims to be a picture',
      Buffer.from('<html><script>alert(1)</script>'),
      'FILE_TYPE_NOT_ALLOWED',
    ],
    ['bytes without meaning', randomBytes(1000), 'FILE_TYPE_NOT_ALLOWED'],
  ])('a file that is %s leaves nothing', async (_what, bytes, code) => {
    const { data, errors } = await ada.upload(roomId, 'x.png', new Uint8Array(bytes));
    expect(data).toEqual({ uploadFile: null });
    expect(errors[0]?.extensions['code']).toBe(code);
    await nothingKept();
  });

  test('a file of exactly the limit is taken', async () => {
    const { data } = await ada.upload(roomId, 'x.png', new Uint8Array(picture(4 * MIB)));
    expect(data['uploadFile'].file.size).toBe(4 * MIB);
    await keptMore(1);
  });

  test('a file that is too large is refused before its end', async () => {
    const request = multipart(ada, { 'content-length': String(1024 * MIB) });
    await request.head(...oneFile(roomId));
    await request.beginFile('file', 'x.png');
    await request.raw(PNG);
    for (let i = 0; i < 16; i += 1) await request.raw(randomBytes(MIB));
    const answer = await request.answer;
    expect([answer.status, errorOf(answer)]).toEqual([413, 'FILE_TOO_LARGE']);
    expect(answer.headers.connection).toBe('close');
    await nothingKept();
  });

  test('whoever may not upload is answered while they send, and leaves nothing', async () => {
    const secret = await ada.createRoom('PRIVATE');
    for (const [client, room, code] of [
      [bob, roomId, 'FORBIDDEN'],
      [bob, secret, 'NOT_FOUND'],
      [new Client(app.url), roomId, 'UNAUTHENTICATED'],
      [ada, 'msg_AZ', 'BAD_USER_INPUT'],
    ] as const) {
      const request = multipart(client, { 'content-length': String(1024 * MIB) });
      await request.head(...oneFile(room));
      await request.beginFile('file', 'x.png');
      for (let i = 0; i < 20; i += 1) await request.raw(randomBytes(MIB));
      expect(errorOf(await request.answer)).toBe(code);
    }
    await nothingKept();
  });

  test('an operation that does not parse, does not validate or does not ask for its file is answered', async () => {
    const [, map] = oneFile(roomId);
    const variables = { input: { roomId, file: null } };
    for (const [query, code] of [
      ['{', 'GRAPHQL_PARSE_FAILED'],
      ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
      ['{ viewer { id } }', undefined],
    ] as const) {
      const request = await multipart(ada).head({ query, variables }, map);
      await request.file('file', 'x.png', picture(3 * MIB));
      const { errors } = JSON.parse((await request.end()).body);
      expect(errors?.[0].extensions.code).toBe(code);
    }
    await nothingKept();
  });

  test('a request without a preflight header is refused before a byte of it is looked at', async () => {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      body: new FormData(),
      headers: ada.headers(),
    });
    expect(response.status).toBe(403);
    const broken = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      body: 'not multipart at all',
      headers: { ...ada.headers(), 'content-type': 'multipart/form-data; boundary=x' },
    });
    expect(broken.status).toBe(403);
    await nothingKept();
  });

  test('a request that breaks the spec is BAD_REQUEST with its status', async () => {
    const request = await multipart(ada).head(
      { query: UPLOAD_FILE, variables: {} },
      { a: ['variables.__proto__.x'] },
    );
    const refused = await request.end();
    expect([refused.status, errorOf(refused)]).toEqual([400, 'BAD_REQUEST']);
    const large = await multipart(ada).field('operations', 'x'.repeat(2 * MIB));
    const tooLarge = await large.end();
    expect([tooLarge.status, errorOf(tooLarge)]).toEqual([413, 'BAD_REQUEST']);
    await nothingKept();
  });

  test('a client that goes away in the middle leaves nothing', async () => {
    const request = await multipart(ada).head(...manyFiles(roomId, 2));
    await request.beginFile('0', 'x.png');
    await request.raw(picture(2 * MIB));
    await begun();
    await request.abort();
    await nothingKept();
  });

  test('a body that is cut off leaves nothing', async () => {
    const request = await multipart(ada).head(...oneFile(roomId));
    await request.beginFile('file', 'x.png');
    await request.raw(picture(MIB));
    expect(errorOf(await request.cutOff())).toBe('UPLOAD_INCOMPLETE');
    await nothingKept();
  });

  test('a missing part fails alone', async () => {
    const request = await multipart(ada).head(...manyFiles(roomId, 3));
    await request.file('0', 'a.png', picture(100));
    await request.file('2', 'c.png', picture(100));
    expect(codesOf(await request.end())).toEqual(['a.png', 'UPLOAD_INCOMPLETE', 'c.png']);
    await keptMore(2);
  });

  test('parts that nobody wants leave nothing, before and after the one that is wanted', async () => {
    const request = await multipart(ada).head(...oneFile(roomId));
    await request.file('stranger', 'x.png', picture(500_000));
    await request.file('file', 'x.png', picture(100));
    await request.file('other', 'x.png', picture(300_000));
    expect(JSON.parse((await request.end()).body).data.uploadFile.file.name).toBe('x.png');
    await keptMore(1);
  });

  test('a part beyond all measure that nobody wants ends the request', async () => {
    const request = multipart(ada, { 'content-length': String(1024 * MIB) });
    await request.head(...oneFile(roomId));
    await request.beginFile('stranger', 'x.png');
    for (let i = 0; i < 20; i += 1) await request.raw(randomBytes(MIB));
    expect(errorOf(await request.answer)).toBe('UPLOAD_INCOMPLETE');
    await nothingKept();
  });

  test('a member who is removed meanwhile uploads nothing', async () => {
    await bob.join(roomId);
    const request = await multipart(bob).head(...oneFile(roomId));
    await request.beginFile('file', 'x.png');
    await request.raw(picture(2 * MIB));
    await begun();
    await ada.run(`mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { memberId } }`, {
      input: { roomId, userId: bob.userId },
    });
    await request.raw('\r\n');
    expect(errorOf(await request.end())).toBe('FORBIDDEN');
    await nothingKept();
  });

  test('the same key and file answer the first outcome, another file is a conflict', async () => {
    const bytes = new Uint8Array(picture(MIB));
    const first = await ada.upload(roomId, 'a.png', bytes, { idempotencyKey: 'key' });
    const again = await ada.upload(roomId, 'a.png', bytes, { idempotencyKey: 'key' });
    expect(again.data['uploadFile']).toMatchObject({
      eventCursor: first.data['uploadFile'].eventCursor,
      file: { id: first.data['uploadFile'].file.id },
    });
    for (const [name, other] of [
      ['b.png', bytes],
      ['a.png', new Uint8Array(picture(MIB))],
    ] as const) {
      const { errors } = await ada.upload(roomId, name, other, { idempotencyKey: 'key' });
      expect(errors[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.idempotencyKey' });
    }
    await keptMore(1);
  });

  test('twins with one key that upload at once store one file', async () => {
    const bytes = new Uint8Array(picture(MIB));
    const twins = await Promise.all(
      Array.from({ length: 5 }, () => ada.upload(roomId, 'a.png', bytes, { idempotencyKey: 'twins' })),
    );
    expect(new Set(twins.map(({ data }) => data['uploadFile'].file.id)).size).toBe(1);
    await keptMore(1);
  });

  test('several files sent again with their key store only what failed', async () => {
    const bytes = [picture(1000), picture(2000), picture(3000)];
    const send = async (count: number): Promise<any[]> => {
      const request = await multipart(ada).head(...manyFiles(roomId, 3, { idempotencyKey: 'many' }));
      for (let i = 0; i < count; i += 1) await request.file(String(i), `${i}.png`, bytes[i]!);
      return outcomesOf(await request.end());
    };
    const first = await send(2);
    expect(first.map(({ __typename }) => __typename)).toEqual([
      'UploadedFile',
      'UploadedFile',
      'RejectedFile',
    ]);
    const second = await send(3);
    expect(second.map(({ file }) => file.id).slice(0, 2)).toEqual(
      first.map(({ file }) => file?.id).slice(0, 2),
    );
    expect(second[2].file.name).toBe('2.png');
    await keptMore(3);
  });

  test('a deleted file is gone for everyone, with its bytes and its links', async () => {
    await bob.join(roomId);
    const { id, url } = (await bob.upload(roomId, 'a.txt', 'text')).data['uploadFile'].file;
    const { id: messageId } = await bob.post(roomId, 'look', { fileIds: [id] });
    const remove = `mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId eventCursor } }`;
    const [eve, cid] = await Promise.all([signUp(app.url), signUp(app.url)]);
    await cid.join(roomId);
    expect(await eve.refusal(remove, { id })).toBe('NOT_FOUND');
    expect(await cid.refusal(remove, { id })).toBe('FORBIDDEN');
    expect((await fetch(url)).status).toBe(200);
    expect((await ada.run(remove, { id }))['deleteFile'].deletedFileId).toBe(id);
    expect(await bob.refusal(remove, { id })).toBe('NOT_FOUND');
    expect((await fetch(url)).status).toBe(410);
    const { message, node } = await bob.run(
      `query ($id: ID!, $messageId: ID!) { message: node(id: $messageId) { ... on Message { files { id } } } node(id: $id) { id } }`,
      { id, messageId },
    );
    expect(message.files).toEqual([]);
    expect(node).toBeNull();
    await nothingKept();

    const client = live(bob);
    const events = await subscribe(client, ROOM_EVENTS, { roomId, last: 3 }).take(3, 'roomEvents');
    expect(events.map(({ __typename, file }) => [__typename, file])).toEqual([
      ['MessageAdded', undefined],
      ['MemberJoined', undefined],
      ['FileDeleted', undefined],
    ]);
    const replay = await subscribe(client, ROOM_EVENTS, { roomId, last: 5 }).take(5, 'roomEvents');
    expect(replay.find(({ __typename }) => __typename === 'FileAdded')).toMatchObject({
      fileId: id,
      file: null,
    });
    await client.dispose();
  });

  test('the outcome of a key outlives its file', async () => {
    const first = await ada.upload(roomId, 'a.txt', 'text', { idempotencyKey: 'outlives' });
    const { id } = first.data['uploadFile'].file;
    await ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, { id });
    const again = await ada.upload(roomId, 'a.txt', 'text', { idempotencyKey: 'outlives' });
    expect(again.data['uploadFile'].file).toMatchObject({ id, name: 'a.txt' });
    expect((await fetch(again.data['uploadFile'].file.url)).status).toBe(410);
    await nothingKept();
  });

  test('many uploads at once are all stored', async () => {
    const done = await Promise.all(
      Array.from({ length: 12 }, (_, i) => ada.upload(roomId, `${i}.png`, new Uint8Array(picture(MIB + i)))),
    );
    expect(done.map(({ data }) => data['uploadFile'].file.size)).toEqual(
      Array.from({ length: 12 }, (_, i) => MIB + i),
    );
    await keptMore(12);
  });

  test('a client that stops sending holds nobody up', async () => {
    const silent = await multipart(ada).head(...oneFile(roomId));
    await silent.beginFile('file', 'x.png');
    await silent.raw(picture(100_000));
    const { data } = await ada.upload(roomId, 'y.png', new Uint8Array(picture(100)));
    expect(data['uploadFile'].file.name).toBe('y.png');
    await silent.abort();
    await keptMore(1);
  });

  test.runIf(backend === 'postgres')(
    'what a crash left is swept once its lease has run out, and nothing else',
    async () => {
      const [dead, alive] = [newStorageKey(), newStorageKey()];
      for (const key of [dead, alive]) await leaveHalfWritten(app.place, key);
      await sql(
        app.place,
        `insert into upload_leases values ($1, now() - interval '1 s'), ($2, now() + interval '1 min')`,
        [dead, alive],
      );
      const second = await startOn(app.place);
      await expect.poll(() => namesStored(app.place)).not.toContain(`${dead}.part`);
      await delay(200);
      expect(await namesStored(app.place)).toContain(`${alive}.part`);
      expect(await sql(app.place, 'select storage_key from upload_leases')).toEqual([{ storage_key: alive }]);
      await sql(app.place, 'update upload_leases set expires_at = now()');
      await second[Symbol.asyncDispose]();
    },
  );

  test.runIf(backend === 'postgres')('an upload whose lease was swept away is refused', async () => {
    const request = await multipart(ada).head(...oneFile(roomId));
    await request.beginFile('file', 'x.png');
    await request.raw(picture(2 * MIB));
    await begun();
    await sql(app.place, `update upload_leases set expires_at = 'epoch'`);
    await request.raw('\r\n');
    expect(errorOf(await request.end())).toBe('UPLOAD_INCOMPLETE');
    await expect.poll(async () => (await kept(app.place, ada, roomId)).rows).toBe(before.rows);
  });
});

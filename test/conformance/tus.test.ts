import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { ended, tusRequest, uploadOf, type Headers, type TusAnswer } from '../support/resumable.js';
import { beginUpload, BYTES, codeOf, OFFSET_BYTES, SIZE, without, type Rule } from '../support/tus-rules.js';

/*
 * tus 1.0 as a table: each rule of its core by the section that it stands in. What stores keep of an upload is looked
 * at in test/integration/resumable.test.ts. https://tus.io/protocols/resumable-upload (MIT)
 */

const MAX = 64 * 1024;

describe('tus 1.0, the core', () => {
  let app: App;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley('embedded', { UPLOAD_MAX_BYTES: String(MAX) });
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const begin = () => beginUpload(ada, roomId);
  const root = (method: string, headers: Headers = {}): Promise<TusAnswer> =>
    tusRequest(`${app.url}/uploads`, method, undefined, headers);

  const CORE: readonly Rule[] = [
    [
      'Upload-Offset',
      'what is no number of bytes is refused, and nothing is written',
      async (upload) => {
        for (const offset of ['-1', '0.5', 'x', '', '1e1', '0x0', '99999999999999999999'])
          expect([offset, (await upload.send(offset, BYTES)).status]).toEqual([
            offset,
            expect.toSatisfy((status) => [400, 403, 409, 412].includes(status as number)),
          ]);
        const none = await upload.send(0, BYTES, without('upload-offset'));
        expect(none.status).toBe(403);
        expect(await upload.offset()).toBe('0');
      },
    ],
    [
      'Tus-Resumable',
      'every answer but that to OPTIONS has it, errors too',
      async (upload) => {
        for (const answer of [
          await upload.ask('HEAD'),
          await upload.ask('GET'),
          await upload.send(1, BYTES),
          await upload.send(0, BYTES),
          await upload.ask('DELETE'),
          await tusRequest(`${upload.url}x`, 'HEAD', upload.token),
          await tusRequest(upload.url, 'HEAD', undefined),
        ])
          expect([answer.status, answer.headers['tus-resumable']]).toEqual([answer.status, '1.0.0']);
      },
    ],
    [
      'Tus-Resumable',
      'another version, or none, is 412 with Tus-Version, and is not processed',
      async (upload) => {
        for (const headers of [
          { 'tus-resumable': '0.2.2' },
          { 'tus-resumable': '1.0.1' },
          without('tus-resumable'),
        ])
          for (const method of ['HEAD', 'DELETE']) {
            const answer = await upload.ask(method, headers);
            expect([answer.status, answer.headers['tus-version']]).toEqual([412, '1.0.0']);
          }
        expect((await upload.send(0, BYTES, { 'tus-resumable': '2.0.0' })).status).toBe(412);
        expect(await upload.offset()).toBe('0');
      },
    ],
    [
      'X-HTTP-Method-Override',
      'its method counts, and the request’s own does not',
      async (upload) => {
        for (const method of ['DELETE', 'POST', 'HEAD', 'PATCH']) {
          const head = await upload.ask(method, { 'x-http-method-override': 'HEAD' });
          expect([head.status, head.headers['upload-offset'], head.body]).toEqual([200, '0', '']);
        }
        expect((await upload.ask('DELETE', { 'x-http-method-override': 'GET' })).status).toBe(405);
        const headers = {
          'x-http-method-override': 'PATCH',
          'upload-offset': '0',
          'content-type': OFFSET_BYTES,
        };
        const sent = await upload.ask('POST', headers, BYTES.subarray(0, 400));
        expect([sent.status, sent.headers['upload-offset']]).toEqual([204, '400']);
        expect((await upload.ask('POST', { 'x-http-method-override': 'delete' })).status).toBe(204);
        expect(await uploadOf(ada, upload.session['id'])).toBeNull();
      },
    ],
    [
      'HEAD',
      'says offset and length, also at 0 and when complete, and no cache keeps it',
      async (upload) => {
        for (const offset of ['0', '400', String(SIZE)]) {
          const { status, headers, body } = await upload.ask('HEAD');
          expect([status, body]).toEqual([200, '']);
          expect(headers).toMatchObject({
            'upload-offset': offset,
            'upload-length': String(SIZE),
            'cache-control': 'no-store',
          });
          expect(headers).not.toHaveProperty('upload-defer-length');
          const next = offset === '0' ? BYTES.subarray(0, 400) : BYTES.subarray(400);
          if (offset !== String(SIZE)) expect((await upload.send(offset, next)).status).toBe(204);
        }
      },
    ],
    [
      'HEAD',
      'of what is not there is 404 without an offset',
      async (upload) => {
        await upload.ask('DELETE');
        const { status, headers, body } = await upload.ask('HEAD');
        expect([status, headers['upload-offset'], body]).toEqual([404, undefined, '']);
      },
    ],
    [
      'PATCH',
      'is 204 with the new offset, in one request or in several',
      async (upload) => {
        const first = await upload.send(0, BYTES.subarray(0, 1));
        expect([first.status, first.headers['upload-offset'], first.body]).toEqual([204, '1', '']);
        const nothing = await upload.send(1, Buffer.alloc(0));
        expect([nothing.status, nothing.headers['upload-offset']]).toEqual([204, '1']);
        const rest = await upload.send(1, BYTES.subarray(1));
        expect([rest.status, rest.headers['upload-offset']]).toEqual([204, String(SIZE)]);
        expect(await ended(ada, upload.session['id'])).toMatchObject({ state: 'DONE' });
      },
    ],
    [
      'PATCH',
      'of another type is 415, whatever letters the right one is in',
      async (upload) => {
        for (const type of ['text/plain', 'application/octet-stream', ''])
          expect((await upload.send(0, BYTES, { 'content-type': type })).status).toBe(415);
        const none = await upload.send(0, BYTES, without('content-type'));
        expect([none.status, codeOf(none)]).toEqual([415, 'BAD_REQUEST']);
        expect(await upload.offset()).toBe('0');
        expect(
          (await upload.send(0, BYTES, { 'content-type': 'Application/Offset+Octet-Stream' })).status,
        ).toBe(204);
      },
    ],
    [
      'PATCH',
      'at another offset is 409, and changes nothing',
      async (upload) => {
        expect((await upload.send(1, BYTES.subarray(1))).status).toBe(409);
        expect((await upload.send(0, BYTES.subarray(0, 500))).status).toBe(204);
        for (const offset of [0, 499, 501, SIZE])
          expect((await upload.send(offset, BYTES.subarray(500))).status).toBe(409);
        expect(await upload.offset()).toBe('500');
      },
    ],
    [
      'PATCH',
      'beyond the length is 413, and changes nothing',
      async (upload) => {
        expect((await upload.send(0, Buffer.concat([BYTES, BYTES]))).status).toBe(413);
        expect(await upload.offset()).toBe('0');
      },
    ],
    [
      'PATCH',
      'of what is not there is 404',
      async (upload) => {
        await upload.ask('DELETE');
        expect((await upload.send(0, BYTES)).status).toBe(404);
      },
    ],
    [
      'OPTIONS',
      'says version, extensions, the largest size and the algorithms, whatever version is asked for',
      async () => {
        for (const headers of [without('tus-resumable'), { 'tus-resumable': '0.2.2' }]) {
          const answer = await root('OPTIONS', headers);
          expect(answer.status).toBe(204);
          expect(answer.headers).toMatchObject({
            'tus-version': '1.0.0',
            'tus-extension': 'expiration,termination,checksum',
            'tus-max-size': String(MAX),
            'tus-checksum-algorithm': 'sha1,sha256,md5',
          });
        }
      },
    ],
  ];

  test.each(CORE)('%s: %s', async (_section, _rule, check) => check(await begin()));
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { ended, patch, tusRequest, uploadOf, type Headers, type TusAnswer } from '../support/resumable.js';
import {
  beginUpload,
  BYTES,
  checksum,
  codeOf,
  METHODS,
  OFFSET_BYTES,
  SIZE,
  type Rule,
} from '../support/tus-rules.js';

/*
 * tus 1.0 as a table: each rule of its extensions, and what is answered where one is not offered, by the section that it stands in. What stores keep of an upload is looked
 * at in test/integration/resumable.test.ts. https://tus.io/protocols/resumable-upload (MIT)
 */

const MAX = 64 * 1024;

describe('tus 1.0, the extensions', () => {
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

  const EXTENSIONS: readonly Rule[] = [
    [
      'Expiration',
      'every answer to a PATCH says when the upload expires, as HTTP writes dates',
      async (upload) => {
        for (const answer of [
          await upload.send(1, BYTES),
          await upload.send(0, BYTES, { 'content-type': 'text/plain' }),
          await upload.send(0, BYTES, checksum('sha1', Buffer.from('x'))),
          await upload.send(0, Buffer.concat([BYTES, BYTES])),
          await upload.send(0, BYTES.subarray(0, 10)),
        ]) {
          const expires = String(answer.headers['upload-expires']);
          expect([answer.status, new Date(expires).toUTCString()]).toEqual([answer.status, expires]);
          expect(Date.parse(expires)).toBeGreaterThan(Date.now() + 23 * 3_600_000);
        }
        const stranger = await patch(upload.url, 'nonsense', 0, BYTES);
        expect([stranger.status, stranger.headers['upload-expires']]).toEqual([401, undefined]);
      },
    ],
    [
      'Checksum',
      'the right one is 204, by each algorithm that is named',
      async (upload) => {
        let at = 0;
        for (const algorithm of ['sha1', 'sha256', 'md5']) {
          const bytes = BYTES.subarray(at, at + 100);
          expect((await upload.send(at, bytes, checksum(algorithm, bytes))).status).toBe(204);
          at += 100;
        }
        expect(await upload.offset()).toBe('300');
      },
    ],
    [
      'Checksum',
      'another one is 460, and the bytes are thrown away',
      async (upload) => {
        const wrong = await upload.send(0, BYTES, checksum('sha1', Buffer.from('x')));
        expect(wrong.status).toBe(460);
        expect(await upload.offset()).toBe('0');
      },
    ],
    [
      'Checksum',
      'an algorithm that is not named, and what is no checksum, is 400',
      async (upload) => {
        for (const header of ['crc32 AAAA', 'SHA1 AAAA', 'sha1', 'sha1 ', 'sha1 !', '', 'sha1  AAAA']) {
          const answer = await upload.send(0, BYTES, { 'upload-checksum': header });
          expect([header, answer.status, codeOf(answer)]).toEqual([header, 400, 'BAD_REQUEST']);
        }
        expect(await upload.offset()).toBe('0');
      },
    ],
    [
      'Termination',
      'is 204, and 404 from then on',
      async (upload) => {
        await upload.send(0, BYTES.subarray(0, 10));
        expect((await upload.ask('DELETE')).status).toBe(204);
        for (const method of ['HEAD', 'DELETE']) expect((await upload.ask(method)).status).toBe(404);
        expect((await upload.send(10, BYTES.subarray(10))).status).toBe(404);
        expect(await uploadOf(ada, upload.session['id'])).toBeNull();
      },
    ],
    [
      'Termination',
      'of a complete upload is 204 too',
      async (upload) => {
        await upload.send(0, BYTES);
        expect((await upload.ask('DELETE')).status).toBe(204);
        expect(await ended(ada, upload.session['id'])).toMatchObject({ state: 'DONE' });
      },
    ],
  ];

  const NOT_OFFERED: readonly Rule[] = [
    [
      'Creation',
      'by POST is 405, which says that the mutation createUpload does it',
      async (upload) => {
        for (const address of [`${app.url}/uploads`, `${app.url}/uploads/`, upload.url]) {
          const answer = await tusRequest(address, 'POST', upload.token, { 'upload-length': '100' });
          expect([answer.status, answer.headers.allow, codeOf(answer)]).toEqual([
            405,
            METHODS,
            'BAD_REQUEST',
          ]);
          expect(answer.body).toContain('createUpload');
          expect(answer.headers).not.toHaveProperty('location');
        }
      },
    ],
    [
      'Creation, Upload-Defer-Length',
      'is 405 like any other creation',
      async () => {
        expect((await root('POST', { 'upload-defer-length': '1' })).status).toBe(405);
      },
    ],
    [
      'Creation, Upload-Length',
      'changes no length that is known',
      async (upload) => {
        const answer = await upload.send(0, BYTES.subarray(0, 10), { 'upload-length': '10' });
        expect(answer.status).toBe(501);
        expect(await upload.offset()).toBe('0');
      },
    ],
    [
      'Creation With Upload',
      'is 405, and takes no byte',
      async () => {
        const headers = { 'upload-length': String(SIZE), 'content-type': OFFSET_BYTES };
        const answer = await tusRequest(`${app.url}/uploads`, 'POST', undefined, headers, BYTES);
        expect([answer.status, answer.headers['upload-offset']]).toEqual([405, undefined]);
      },
    ],
    [
      'Concatenation',
      'is 405 like any other creation',
      async () => {
        expect((await root('POST', { 'upload-concat': 'partial', 'upload-length': '1' })).status).toBe(405);
      },
    ],
    [
      'Checksum trailers',
      'are not among the extensions',
      async () => {
        expect(String((await root('OPTIONS')).headers['tus-extension'])).not.toContain('trailer');
      },
    ],
    [
      'GET',
      'is 405: files are read by their own links',
      async (upload) => {
        const answer = await upload.ask('GET');
        expect([answer.status, answer.headers.allow]).toEqual([405, METHODS]);
      },
    ],
  ];

  test.each(EXTENSIONS)('%s: %s', async (_section, _rule, check) => check(await begin()));
  test.each(NOT_OFFERED)('not offered: %s %s', async (_section, _rule, check) => check(await begin()));
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import type { Answer } from '../support/multipart-request.js';
import { kept, keptSoon, multipart, oneFile, picture, PNG, type Kept } from '../support/uploads.js';
import { zipSync } from '../support/zip.js';
import { get } from '../support/get.js';
import { kinds } from '../support/kinds.js';

const MIB = 1024 * 1024;
const BOUNDARY = 'parley-test-boundary';
const GIF = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');
const JPEG = Buffer.from('/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////', 'base64');
const SCRIPT = '<script>alert(document.cookie)</script>';

const codeOf = ({ body }: Answer): string | undefined => JSON.parse(body).errors?.[0].extensions.code;

describe.each(kinds)('Bad uploads to $backend, into $store', ({ backend, store }) => {
  let app: App & { place: Place };
  let ada: Client;
  let roomId: string;
  let before: Kept;

  beforeAll(async () => {
    app = await startParley(backend, { UPLOAD_MAX_BYTES: String(2 * MIB) }, store);
    ada = await signUp(app.url);
  });
  beforeEach(async () => {
    roomId = await ada.createRoom();
    before = await kept(app.place, ada, roomId);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const nothingKept = (): Promise<void> => keptSoon(app.place, ada, roomId, before);
  const keptMore = (count: number): Promise<void> =>
    keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + count, rows: before.rows + count });

  /** Sends one file with what the client says of it, and answers its row or its refusal. */
  async function send(bytes: Buffer | string, name = 'x.png', type = 'image/png'): Promise<any> {
    const request = await multipart(ada).head(...oneFile(roomId));
    const { data, errors } = JSON.parse((await (await request.file('file', name, bytes, type)).end()).body);
    return errors?.[0].extensions.code ?? data.uploadFile.file;
  }

  describe('that are not what they are said to be', () => {
    test.each([
      ['a page', `<!doctype html>${SCRIPT}`],
      ['a page behind spaces and comments', `\n\n <!-- GIF89a --> <html>${SCRIPT}`],
      ['a page that a PDF is hidden in', `<html>${SCRIPT}%PDF-1.7\n`],
      ['a drawing with a script', `<svg xmlns="http://www.w3.org/2000/svg">${SCRIPT}</svg>`],
      [
        'a drawing in UTF-16',
        Buffer.from(`\uFEFF<svg xmlns="http://www.w3.org/2000/svg">${SCRIPT}</svg>`, 'utf16le'),
      ],
      ['a page behind more space than is judged at first', `${' '.repeat(100_000)}<html>${SCRIPT}`],
      [
        'what begins like a sound',
        Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0]), Buffer.alloc(5000, 1)]),
      ],
      ['a program', Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01\0', 'latin1'), randomBytes(1000)])],
      ['bytes without meaning', randomBytes(5000)],
    ])('are refused: %s', async (_what, bytes) => {
      for (const type of ['image/png', 'text/plain', 'x', `text/html; charset="${'x'.repeat(2000)}"`])
        expect(await send(bytes, 'x.png', type)).toBe('FILE_TYPE_NOT_ALLOWED');
      await nothingKept();
    });

    test.each([
      ['a GIF that is a script', Buffer.concat([GIF, Buffer.from(`=1;${SCRIPT}`)]), 'image/gif', 'inline'],
      [
        'a JPEG that is a zip',
        Buffer.concat([JPEG, zipSync({ 'x.html': Buffer.from(SCRIPT) })]),
        'image/jpeg',
        'inline',
      ],
      [
        'a picture that is a page',
        Buffer.concat([PNG, Buffer.from(`<html>${SCRIPT}`)]),
        'image/png',
        'inline',
      ],
      ['a PDF that is a page', Buffer.from(`%PDF-1.7\n<html>${SCRIPT}`), 'application/pdf', 'attachment'],
      [
        'a text that is a script',
        Buffer.from('GIF89a=1;alert(1)//'),
        'text/plain; charset=utf-8',
        'attachment',
      ],
      [
        'a zip that is a page',
        Buffer.concat([zipSync({ a: Buffer.from('a') }), Buffer.from(SCRIPT)]),
        'application/zip',
        'attachment',
      ],
    ])('are served as what they begin with, and run nowhere: %s', async (_what, bytes, type, disposition) => {
      const file = await send(bytes, 'x.html', 'text/html');
      const { status, headers, body } = await get(file.url);
      expect(status).toBe(200);
      expect(body.equals(bytes)).toBe(true);
      expect(headers).toMatchObject({
        'content-type': type,
        'x-content-type-options': 'nosniff',
        'content-security-policy': "sandbox; default-src 'none'",
      });
      expect(headers['content-disposition']).toMatch(new RegExp(`^${disposition}\\b`));
      await keptMore(1);
    });
  });

  test.each([
    ['../../etc/passwd', 'passwd'],
    ['C:\\windows\\system32\\x.png', 'x.png'],
    ['..', 'file'],
    ['.htaccess', 'htaccess'],
    ['a\r\nSet-Cookie: x=y.png', 'aSet-Cookie: x=y.png'],
    ['invoice\u202Egnp.exe', 'invoicegnp.exe'],
    [`${'x'.repeat(1000)}.png`, `${'x'.repeat(251)}.png`],
    [`${'\u{1F600}'.repeat(1000)}.png`, `${'\u{1F600}'.repeat(62)}.png`],
    ['CON', 'CON'],
    ['__proto__', '__proto__'],
    ['<b>&"quoted".png', '<b>&"quoted".png'],
    [' ', 'file'],
    ['\u200B\u200B', 'file'],
    ['', 'file'],
  ])('called %j are called %j', async (given, name) => {
    const form = new FormData();
    const [operations, map] = oneFile(roomId);
    form.set('operations', JSON.stringify(operations));
    form.set('map', JSON.stringify(map));
    form.set('file', new Blob([picture(200)]), given);
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'apollo-require-preflight': '1', ...ada.headers() },
      body: form,
    });
    const { data } = await response.json();
    const { file } = data.uploadFile;
    expect(file.name).toBe(name);
    const { status, headers } = await get(file.url);
    expect(status).toBe(200);
    expect(headers['content-disposition']).not.toMatch(/[\r\n]/);
    expect(headers['set-cookie']).toBeUndefined();
    await keptMore(1);
  });

  test('that are empty, or cut off anywhere, leave nothing', async () => {
    expect(await send('')).toBe('BAD_USER_INPUT');
    for (const length of [1, PNG.length, 100_000]) {
      const request = await multipart(ada).head(...oneFile(roomId));
      await request.beginFile('file', 'x.png');
      await request.raw(picture(200_000).subarray(0, length));
      expect(codeOf(await request.cutOff())).toBe('UPLOAD_INCOMPLETE');
    }
    const header = await multipart(ada).head(...oneFile(roomId));
    await header.raw(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; file`);
    expect(codeOf(await header.cutOff())).toBe('UPLOAD_INCOMPLETE');
    await nothingKept();
  });

  test.each([
    ['one header that never ends', `X: ${'x'.repeat(300_000)}`],
    ['ten thousand headers', Array.from({ length: 10_000 }, (_, i) => `X-${i}: ${i}\r\n`).join('')],
    [
      'a name that never ends',
      `Content-Disposition: form-data; name="file"; filename="${'x'.repeat(300_000)}`,
    ],
    ['a header that is none', 'Content-Disposition\0form-data\r\n'],
    ['a name with a null byte', 'Content-Disposition: form-data; name="file"; filename="a\0b.png"'],
  ])('whose parts have %s leave nothing', async (_what, headers) => {
    const request = await multipart(ada).head(...oneFile(roomId));
    await request.raw(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n${headers}\r\n\r\n`,
    );
    await request.raw(PNG);
    await request.raw('\r\n');
    expect(codeOf(await request.end())).toBe('UPLOAD_INCOMPLETE');
    await nothingKept();
  });

  test('with ten thousand parts are cut off, and leave nothing', async () => {
    const request = await multipart(ada).head(...oneFile(roomId));
    const part = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="x"; filename="x.png"\r\n\r\nx\r\n`;
    for (let i = 0; i < 100; i += 1) await request.raw(part.repeat(100));
    await request.file('file', 'x.png', PNG);
    expect(codeOf(await request.end())).toBe('UPLOAD_INCOMPLETE');
    await nothingKept();
  });

  test('with ten thousand fields are cut off, and leave nothing', async () => {
    const request = multipart(ada);
    const field = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n`;
    for (let i = 0; i < 100; i += 1) await request.raw(field.repeat(100));
    await request.head(...oneFile(roomId));
    await request.file('file', 'x.png', PNG);
    expect(codeOf(await request.end())).toBe('BAD_REQUEST');
    await nothingKept();
  });
});

describe('Links and ranges that make no sense', () => {
  let app: App & { place: Place };
  let url: string;
  let other: string;
  const bytes = picture(10_000);

  beforeAll(async () => {
    app = await startParley('embedded');
    const ada = await signUp(app.url);
    const roomId = await ada.createRoom();
    const link = async (name: string): Promise<string> =>
      (await ada.upload(roomId, name, bytes)).data['uploadFile'].file.url;
    [url, other] = [await link('a.png'), await link('b.png')];
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test('are refused with any one character altered', async () => {
    const begin = url.indexOf('/files/') + '/files/'.length;
    const altered = Array.from({ length: url.length - begin }, (_, i) => {
      const at = begin + i;
      const character = url[at] === 'a' ? 'b' : 'a';
      return url.slice(0, at) + character + url.slice(at + 1);
    });
    for (const one of altered) {
      const { status, body } = await get(one);
      expect([one, status, body.includes(bytes.subarray(0, 8))]).toEqual([one, 403, false]);
    }
    expect((await get(url)).status).toBe(200);
  });

  test('are refused with the signature of another file, another life, or more than belongs there', async () => {
    const signature = /signature=[^&]+/;
    const later = (Number(/expires=(\d+)/.exec(url)?.[1]) + 1000).toString();
    for (const one of [
      url.replace(signature, signature.exec(other)?.[0] ?? ''),
      url.replace(/expires=\d+/, `expires=${later}`),
      url.replace('a.png', 'b.png'),
      `${url}&x=1`,
      url.replace('/files/', '/files//'),
      url.replace('/files/', '/files/./'),
      url.replace('/files/', '/files/../files/'),
      url.replace('/a.png', '/%61.png'),
      url.replace('signature=', 'signature=&signature='),
    ])
      expect([one, (await get(one)).status]).not.toEqual([one, 200]);
  });

  test.each([
    ['bytes=20000-', 416],
    ['bytes=9-5', 416],
    ['bytes=-0', 416],
    ['bytes=99999999999999999999-', 416],
    ['bytes=0-99999999999999999999', 206],
    ['bytes=-99999999999999999999', 206],
    ['bytes=1-0', 416],
    ['bytes=--5', 200],
    ['bytes=a-b', 200],
    ['bytes=1.5-2.5', 200],
    ['bytes=0x10-0x20', 200],
    ['bytes=1e1-1e2', 200],
    ['bytes=0-1,', 200],
    ['bytes= ', 200],
    ['bytes', 200],
    ['bits=0-1', 200],
    ['0-1', 200],
    [`bytes=${Array.from({ length: 900 }, (_, i) => `${i * 2}-${i * 2}`).join(',')}`, 200],
    [`bytes=${'0-,'.repeat(200)}0-`, 206],
    // Beyond what is read of it.
    [`bytes=${'0-,'.repeat(2000)}0-`, 200],
  ])('are answered with no more than the file: Range %.40s', async (range, status) => {
    const got = await get(url, { range });
    expect(got.status).toBe(status);
    const length = Number(got.headers['content-length']);
    expect(length).toBe(got.body.length);
    if (status === 200) expect(got.body.equals(bytes)).toBe(true);
    if (status === 206) {
      const [, start, end] = /^bytes (\d+)-(\d+)\/10000$/.exec(got.headers['content-range'] ?? '') ?? [];
      expect(got.body.equals(bytes.subarray(Number(start), Number(end) + 1))).toBe(true);
    }
    if (status === 416) expect(got.headers['content-range']).toBe('bytes */10000');
  });
});

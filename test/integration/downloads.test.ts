import { randomBytes } from 'node:crypto';
import { truncate } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { stores } from '../support/object-store.js';
import { get, type Got } from '../support/get.js';
import { namesStored } from '../support/uploads.js';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const BYTES = Buffer.concat([PNG, randomBytes(100_000 - PNG.length)]);

describe.each(stores)('downloads from %s', (store) => {
  let app: App & { place: Place };
  let ada: Client;
  let roomId: string;
  let picture: string;

  const linkTo = async (name: string, bytes: BlobPart): Promise<string> => {
    const { data } = await ada.upload(roomId, name, bytes);
    return data['uploadFile'].file.url as string;
  };

  beforeAll(async () => {
    app = await startParley('embedded', {}, store);
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
    picture = await linkTo('Über "uns".png', BYTES);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test('a link gives the bytes to whoever holds it, without a header', async () => {
    const { status, headers, body } = await get(picture);
    expect(status).toBe(200);
    expect(body.equals(BYTES)).toBe(true);
    expect(headers).toMatchObject({
      'content-type': 'image/png',
      'content-length': '100000',
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'cross-origin-resource-policy': 'cross-origin',
      'access-control-allow-origin': '*',
      'referrer-policy': 'no-referrer',
    });
    expect(headers['content-disposition']).toBe(
      `inline; filename="?ber \\"uns\\".png"; filename*=UTF-8''%C3%9Cber%20%22uns%22.png`,
    );
    expect(headers['cache-control']).toMatch(/^private, max-age=(9\d\d|1[01]\d\d), immutable$/);
  });

  test('only pictures and the like are shown in place, and none when it is to be saved', async () => {
    const text = await get(await linkTo('page.txt', 'just text'));
    expect(text.headers['content-disposition']).toBe('attachment; filename=page.txt');
    expect(text.headers['content-type']).toBe('text/plain; charset=utf-8');
    const pdf = await get(await linkTo('a.pdf', '%PDF-1.7\n'));
    expect(pdf.headers['content-disposition']).toMatch(/^attachment/);
    expect((await get(`${picture}&download=1`)).headers['content-disposition']).toMatch(/^attachment/);
  });

  test('a script that is uploaded as text is saved under a name that no double click runs', async () => {
    const script = await get(await linkTo('install.ps1', 'Remove-Item *'));
    expect(script.headers['content-disposition']).toBe('attachment; filename=install.ps1.txt');
  });

  test('a text in another encoding is served as it is, and its encoding is named', async () => {
    const bytes = Buffer.from('\uFEFFName\tStraße\r\n', 'utf16le');
    const table = await get(await linkTo('table.csv', bytes));
    expect(table.headers['content-type']).toBe('text/csv; charset=utf-16le');
    expect(table.body.equals(bytes)).toBe(true);
    const latin = await get(await linkTo('notes.txt', Buffer.from('Hauptstra\xDFe, K\xF6ln', 'latin1')));
    expect(latin.headers['content-type']).toBe('text/plain; charset=windows-1252');
  });

  test('HEAD tells the same without the bytes', async () => {
    const { status, headers, body } = await get(picture, {}, 'HEAD');
    expect([status, headers['content-length'], body.length]).toEqual([200, '100000', 0]);
  });

  test.each([
    ['bytes=0-99', 0, 99],
    ['bytes=-10', 99_990, 99_999],
    ['bytes=99999-', 99_999, 99_999],
    ['bytes=50000-900000', 50_000, 99_999],
  ])('a range %s is a part', async (range, start, end) => {
    const { status, headers, body } = await get(picture, { range });
    expect(status).toBe(206);
    expect(headers['content-range']).toBe(`bytes ${start}-${end}/100000`);
    expect(headers['content-length']).toBe(String(end - start + 1));
    expect(body.equals(BYTES.subarray(start, end + 1))).toBe(true);
  });

  test('several ranges, a malformed one, and one of other bytes are answered with the whole', async () => {
    for (const headers of [
      { range: 'bytes=0-1,5-6' },
      { range: 'bytes=x' },
      { range: 'bytes=0-1', 'if-range': '"other"' },
    ]) {
      const { status, body } = await get(picture, headers);
      expect([status, body.length]).toEqual([200, 100_000]);
    }
  });

  test('a range that begins after the end is 416', async () => {
    const { status, headers, body } = await get(picture, { range: 'bytes=100000-' });
    expect([status, headers['content-range']]).toEqual([416, 'bytes */100000']);
    expect(JSON.parse(body.toString())).toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('who has the bytes already gets 304', async () => {
    const { headers } = await get(picture);
    const etag = String(headers.etag);
    expect(etag).toMatch(/^"[0-9a-f]{64}"$/);
    for (const conditions of [
      { 'if-none-match': etag },
      { 'if-none-match': `"x", W/${etag}` },
      { 'if-none-match': '*' },
      { 'if-modified-since': String(headers['last-modified']) },
    ]) {
      const { status, body } = await get(picture, conditions);
      expect([status, body.length]).toEqual([304, 0]);
    }
    expect((await get(picture, { 'if-none-match': '"x"' })).status).toBe(200);
    expect((await get(picture, { range: 'bytes=0-9', 'if-range': etag })).status).toBe(206);
  });

  test('a request for another state of the file is 412, before anything else is looked at', async () => {
    const { headers } = await get(picture);
    const etag = String(headers.etag);
    const modified = String(headers['last-modified']);
    const [before, after] = [-60_000, 60_000].map((ms) => new Date(Date.parse(modified) + ms).toUTCString());
    for (const [conditions, expected] of [
      [{ 'if-match': etag }, 200],
      [{ 'if-match': `"a,b", ${etag}` }, 200],
      [{ 'if-match': '*' }, 200],
      [{ 'if-match': '"other"' }, 412],
      [{ 'if-match': `W/${etag}` }, 412],
      [{ 'if-match': etag.replaceAll('"', '') }, 412],
      [{ 'if-match': '"other"', 'if-none-match': etag }, 412],
      [{ 'if-match': '"other"', range: 'bytes=0-1' }, 412],
      [{ 'if-match': etag, range: 'bytes=0-1' }, 206],
      [{ 'if-match': etag, 'if-none-match': etag }, 304],
      [{ 'if-unmodified-since': modified }, 200],
      [{ 'if-unmodified-since': after }, 200],
      [{ 'if-unmodified-since': before }, 412],
      [{ 'if-unmodified-since': 'yesterday' }, 200],
      [{ 'if-match': etag, 'if-unmodified-since': before }, 200],
      [{ 'if-unmodified-since': before, range: 'bytes=0-1' }, 412],
    ] as const) {
      for (const method of ['GET', 'HEAD']) {
        const { status } = await get(picture, conditions as unknown as Record<string, string>, method);
        const ranged = expected === 206 && method === 'HEAD' ? 200 : expected;
        expect([conditions, method, status]).toEqual([conditions, method, ranged]);
      }
    }
  });

  test('a link that was altered, for another file, or with more to it is refused', async () => {
    const other = new URL(await linkTo('other.png', BYTES));
    const link = new URL(picture);
    const swapped = `${app.url}${other.pathname}${link.search}`;
    for (const url of [
      swapped,
      picture.replace('.png', '.gif'),
      picture.replace(/expires=\d/, 'expires=9'),
      picture.replace(/signature=./, 'signature=-'),
      `${picture}A`,
      `${picture}&x=1`,
      picture.slice(0, -1),
      `${app.url}${link.pathname}`,
      `${app.url}/files/`,
      `${app.url}/files/../../etc/passwd`,
    ]) {
      const { status, body } = await get(url);
      expect([url, status]).toEqual([url, 403]);
      expect(JSON.parse(body.toString())).toMatchObject({ code: 'FORBIDDEN' });
    }
  });

  test('a link works for as long as was asked', async () => {
    const query = `query ($id: ID!, $s: Int!) { node(id: $id) { ... on File { url(expiresIn: $s) } } }`;
    const { data } = await ada.upload(roomId, 'a.txt', 'text');
    const { id } = data['uploadFile'].file;
    const { node } = await ada.run(query, { id, s: 1 });
    expect((await get(node.url)).status).toBe(200);
    await delay(1100);
    const { status, body } = await get(node.url);
    expect(status).toBe(403);
    expect(JSON.parse(body.toString()).message).toContain('expired');
    for (const s of [0, -1, 86_401]) expect(await ada.refusal(query, { id, s })).toBe('BAD_USER_INPUT');
    expect((await get((await ada.run(query, { id, s: 86_400 }))['node'].url)).status).toBe(200);
  });

  test('other methods are told what is taken, a preflight is answered', async () => {
    const post = await get(picture, {}, 'POST');
    expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS']);
    const preflight = await get(
      picture,
      { origin: 'https://elsewhere.example', 'access-control-request-method': 'GET' },
      'OPTIONS',
    );
    expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([204, '*']);
  });

  test('a client that goes away in the middle is let go', async () => {
    const url = await linkTo('large.png', Buffer.concat([PNG, randomBytes(20_000_000)]));
    await new Promise<void>((resolve, reject) => {
      const { hostname, port, pathname, search } = new URL(url);
      const req = request({ hostname, port, path: pathname + search }, (response) => {
        response.once('data', () => req.destroy());
        response.once('close', resolve);
        response.on('error', () => undefined);
      });
      req.on('error', reject);
      req.end();
    });
    expect((await get(url)).body.length).toBe(20_000_000 + PNG.length);
  });

  test.runIf(store === 'disk')(
    'bytes that the disk has lost break the answer off, which otherwise looked whole or never came to an end',
    async () => {
      const before = new Set(await namesStored(app.place));
      const url = await linkTo('cut.txt', 'x'.repeat(3_000_000));
      const stored = (await namesStored(app.place)).filter((name) => !before.has(name));
      const [name = ''] = stored;
      expect(stored).toHaveLength(1);
      await truncate(join(app.place.dataDir, 'files', name.slice(0, 2), name), 2_000_000);
      await expect(get(url)).rejects.toThrow('aborted');
      expect((await get(url, { range: 'bytes=0-999' })).body.length).toBe(1000);
    },
  );

  test('a link is built on the public address, whatever Host a request names', async () => {
    await using elsewhere = await startParley('embedded', { PUBLIC_URL: 'https://chat.example.com/' });
    const bob = await signUp(elsewhere.url);
    const room = await bob.createRoom();
    const { data } = await bob.upload(room, 'a.txt', 'text');
    const url = String(data['uploadFile'].file.url);
    expect(url.startsWith('https://chat.example.com/files/')).toBe(true);
    expect((await get(url.replace('https://chat.example.com', elsewhere.url))).status).toBe(200);
  });
});

describe.skipIf(!stores.includes('s3'))('downloads that are sent to the bucket', () => {
  let app: App & { place: Place };
  let ada: Client;
  let picture: string;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley('embedded', { S3_DOWNLOADS: 'redirect' }, 's3');
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
    const { data } = await ada.upload(roomId, 'Über "uns".png', BYTES);
    picture = data['uploadFile'].file.url;
  });
  afterAll(() => app[Symbol.asyncDispose]());

  /** As a client that follows, with all its headers. */
  const follow = async (url: string, headers: Record<string, string> = {}): Promise<Got> => {
    const { status, headers: said } = await get(url, headers);
    expect(status).toBe(302);
    return get(String(said.location), headers);
  };

  test('an answer names an address that works for minutes, and says nothing of the file itself', async () => {
    const { headers, body } = await get(picture);
    const { origin, pathname, searchParams } = new URL(String(headers.location));
    expect(origin).toBe(app.place.env['S3_ENDPOINT']);
    expect(pathname.startsWith(`/${app.place.env['S3_BUCKET']}/${app.place.env['S3_PREFIX']}`)).toBe(true);
    expect(searchParams.get('X-Amz-Expires')).toBe('300');
    expect(body.length).toBe(0);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'access-control-allow-origin': '*',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    for (const name of ['etag', 'content-type', 'content-disposition', 'last-modified'])
      expect(headers).not.toHaveProperty(name);
  });

  test('the bytes come as what they are, shown or saved as the link says, kept for as long', async () => {
    const shown = await follow(picture);
    expect(shown.status).toBe(200);
    expect(shown.body.equals(BYTES)).toBe(true);
    expect(shown.headers['content-type']).toBe('image/png');
    expect(shown.headers['content-disposition']).toBe(
      `inline; filename="?ber \\"uns\\".png"; filename*=UTF-8''%C3%9Cber%20%22uns%22.png`,
    );
    expect(shown.headers['cache-control']).toMatch(/^private, max-age=(9\d\d|1[01]\d\d), immutable$/);
    const saved = await follow(`${picture}&download=1`);
    expect(saved.headers['content-disposition']).toMatch(/^attachment/);
    const { data } = await ada.upload(roomId, 'page.html.txt', 'just text');
    const text = await follow(data['uploadFile'].file.url);
    expect(text.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(text.headers['content-disposition']).toMatch(/^attachment/);
  });

  test('what is asked for in it cannot be altered', async () => {
    const address = String((await get(picture)).headers.location);
    for (const altered of [
      address.replace('inline', 'attachment'),
      address.replace('image%2Fpng', 'text%2Fhtml'),
      address.replace('X-Amz-Expires=300', 'X-Amz-Expires=3000'),
    ]) {
      expect(altered).not.toBe(address);
      expect((await get(altered)).status).toBe(403);
    }
  });

  test('ranges and conditions hold there: parts, none, and what one has already', async () => {
    const part = await follow(picture, { range: 'bytes=50000-' });
    expect([part.status, part.headers['content-range']]).toEqual([206, 'bytes 50000-99999/100000']);
    expect(part.body.equals(BYTES.subarray(50_000))).toBe(true);
    expect((await follow(picture, { range: 'bytes=100000-' })).status).toBe(416);
    const { etag } = (await follow(picture)).headers;
    expect((await follow(picture, { 'if-none-match': String(etag) })).status).toBe(304);
  });

  test('HEAD, and who has the bytes already, are answered without sending them anywhere', async () => {
    const { status, headers } = await get(picture, {}, 'HEAD');
    expect([status, headers['content-length'], headers['content-type']]).toEqual([
      200,
      '100000',
      'image/png',
    ]);
    expect((await get(picture, { 'if-none-match': String(headers.etag) })).status).toBe(304);
  });

  test('a link that is not valid, or whose file was deleted, leads nowhere', async () => {
    expect((await get(`${picture}A`)).status).toBe(403);
    const { data } = await ada.upload(roomId, 'a.txt', 'text');
    const { id, url } = data['uploadFile'].file;
    const { location } = (await get(url)).headers;
    await ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, { id });
    expect((await get(url)).status).toBe(410);
    // Its bytes go a moment later, and with them the addresses that were given out.
    await expect.poll(async () => (await get(String(location))).status, { timeout: 5000 }).toBe(404);
  });
});

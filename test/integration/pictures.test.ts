import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { App } from '../../src/app.js';
import { VIEWED } from '../../src/files/processing/pictures.js';
import { SIDES } from '../../src/files/processing/variant-spec.js';
import { startOn, startParley, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, subscribe } from '../support/live.js';
import {
  CAMERA,
  hugePng,
  known,
  linkTo,
  MEDIA,
  media,
  noise,
  put,
  WITH_PREVIEWS,
} from '../support/pictures.js';
import { namesStored } from '../support/uploads.js';
import { get } from '../support/get.js';
import { pairs } from '../support/kinds.js';

// Each of them starts programs, which are last in the queue for the processor.
vi.setConfig({ testTimeout: 120_000 });

const DELETE = `mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`;

describe.each(pairs)('pictures on $backend and $store', ({ backend, store }) => {
  let app: App & { place: Place };
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley(backend, WITH_PREVIEWS, store);
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  /** 300 x 200 as it lies in the file, held upright: so 200 x 300. */
  const upright = async (): Promise<Buffer<ArrayBuffer>> =>
    Buffer.from(await noise(300, 200).jpeg().withExif(CAMERA).withMetadata({ orientation: 6 }).toBuffer());

  test('a file is shown at once, and what it is a moment later by an event that everybody is sent alike', async () => {
    const feed = subscribe(
      live(ada),
      `subscription ($id: ID!) { roomEvents(roomId: $id) {
         __typename actor { handle } ... on FileAdded { fileId } ... on FileChanged { fileId file { ${MEDIA} } } } }`,
      { id: roomId },
    );
    await feed.take(1, 'roomEvents');
    const id = await put(ada, roomId, 'a.jpg', await upright());
    const [, added, changed] = await feed.take(3, 'roomEvents');
    expect(added).toMatchObject({ __typename: 'FileAdded', fileId: id });
    expect(changed).toMatchObject({
      __typename: 'FileChanged',
      actor: null,
      fileId: id,
      file: { image: { width: 200, height: 300 }, video: null, audio: null, pdf: null },
    });
    expect(Buffer.from(changed.file.image.thumbhash, 'base64').length).toBeGreaterThan(4);
    expect((await get(changed.file.image.url)).status).toBe(200);
    feed.stop();
  });

  test('a variant is turned as its camera says, cropped to the box, and tells nothing of where it was taken', async () => {
    const original = await upright();
    expect(original.includes('Acme Cameras')).toBe(true);
    const { image } = await known(ada, roomId, 'place.jpg', original);
    const { status, headers, body } = await get(image.url, { accept: 'image/webp' });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'image/webp',
      'content-length': String(body.length),
      'content-disposition': 'inline; filename=place.webp',
      vary: 'Accept',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'cross-origin-resource-policy': 'cross-origin',
    });
    expect(headers['cache-control']).toMatch(/^private, max-age=(9\d\d|1[01]\d\d), immutable$/);
    const metadata = await sharp(body).metadata();
    // 320 x 240 was asked for: it is never enlarged.
    expect([metadata.width, metadata.height]).toEqual([200, 240]);
    for (const left of ['exif', 'xmp', 'iptc', 'icc', 'orientation'] as const)
      expect(metadata[left]).toBeUndefined();
    expect(body.includes('Acme')).toBe(false);
  });

  test('what the client takes decides what AUTO is, and each has its own tag', async () => {
    const { id } = await known(ada, roomId, 'b.jpg', await upright());
    const url = await linkTo(ada, id, 'width: 64');
    const tags = new Set<string>();
    for (const [accept, type] of [
      ['image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8', 'image/avif'],
      ['image/webp,*/*', 'image/webp'],
      ['*/*', 'image/webp'],
      ['image/png', 'image/png'],
      ['image/jpeg;q=0.9,image/webp;q=0.1', 'image/jpeg'],
      ['text/html', 'image/webp'],
    ] as const) {
      const { status, headers, body } = await get(url, { accept });
      expect([accept, status, headers['content-type']]).toEqual([accept, 200, type]);
      expect(headers.vary).toBe('Accept');
      const { format, compression } = await sharp(body).metadata();
      expect(`image/${compression === 'av1' ? 'avif' : format}`).toBe(type);
      tags.add(String(headers.etag));
      expect((await get(url, { accept, 'if-none-match': String(headers.etag) })).status).toBe(304);
    }
    expect(tags.size).toBe(4);
    const jpeg = await get(await linkTo(ada, id, 'width: 64, format: JPEG'), { accept: 'image/avif' });
    expect([jpeg.headers['content-type'], jpeg.headers.vary]).toEqual(['image/jpeg', undefined]);
  });

  test('HEAD, ranges and conditions are answered as for the file itself', async () => {
    const { id } = await known(ada, roomId, 'c.jpg', await upright());
    const url = await linkTo(ada, id, 'width: 96, format: PNG');
    const head = await get(url, {}, 'HEAD');
    expect([head.status, head.body.length]).toEqual([200, 0]);
    const whole = await get(url);
    expect(head.headers['content-length']).toBe(String(whole.body.length));
    const part = await get(url, { range: 'bytes=10-19' });
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 10-19/${whole.body.length}`]);
    expect(part.body.equals(whole.body.subarray(10, 20))).toBe(true);
    expect((await get(url, { range: 'bytes=9999999-' })).status).toBe(416);
    expect((await get(`${url}&download=1`)).headers['content-disposition']).toMatch(/^attachment/);
  });

  test('sides are rounded up to a bounded set, and those that are out of bounds are refused', async () => {
    const { id } = await known(ada, roomId, 'large.png', Buffer.from(await noise(900, 600).png().toBuffer()));
    const sizeOf = async (args: string): Promise<(number | undefined)[]> => {
      const { width, height } = await sharp((await get(await linkTo(ada, id, args))).body).metadata();
      return [width, height];
    };
    expect(await sizeOf('width: 250, height: 241, fit: COVER')).toEqual([256, 256]);
    expect(await sizeOf('width: 256, height: 256, fit: CONTAIN, format: JPEG')).toEqual([256, 256]);
    expect(await sizeOf('width: 256, height: 256')).toEqual([256, 171]);
    expect(await sizeOf('height: 300, fit: COVER')).toEqual([480, 320]);
    expect(await sizeOf('')).toEqual([900, 600]);
    const query = `query ($id: ID!, $w: Int) { node(id: $id) { ... on File { image { url(width: $w) } } } }`;
    for (const w of [0, -1, 2049]) expect(await ada.refusal(query, { id, w })).toBe('BAD_USER_INPUT');
    const life = `query ($id: ID!) { node(id: $id) { ... on File { image { url(expiresIn: 0) } } } }`;
    expect(await ada.refusal(life, { id })).toBe('BAD_USER_INPUT');
  });

  test('a link that was altered, or for a size that nobody signed, is refused', async () => {
    const { id, image } = await known(ada, roomId, 'd.jpg', await upright());
    const url = new URL(image.url as string);
    const target = url.pathname + url.search;
    for (const altered of [
      target.replace(/\d+x\d+/, '2048x2048'),
      target.replace('cover', 'inside'),
      target.replace('auto', 'png'),
      target.replace('variant=', 'variant=1'),
      target.replace(/variant=[^&]*&/, ''),
      target.replace(/variant=[^&]*&/, 'variant=poster&'),
    ]) {
      expect(altered).not.toBe(target);
      expect((await get(app.url + altered)).status).toBe(403);
    }
    const whole = String(
      (await ada.run('query ($id: ID!) { node(id: $id) { ... on File { url } } }', { id }))['node'].url,
    );
    expect((await get(whole.replace('?', '?variant=320x240-cover-webp&'))).status).toBe(403);
  });

  test('requests for one that is not there yet have it made once, and deleting the file removes all of it', async () => {
    const before = await namesStored(app.place);
    const { id } = await known(ada, roomId, 'e.png', Buffer.from(await noise(640, 480).png().toBuffer()));
    const url = await linkTo(ada, id, 'width: 512, format: WEBP');
    const answers = await Promise.all(Array.from({ length: 8 }, () => get(url)));
    expect(new Set(answers.map(({ status, headers }) => `${status} ${headers.etag}`)).size).toBe(1);
    expect((await namesStored(app.place)).length).toBe(before.length + 2);
    await ada.run(DELETE, { id });
    expect((await get(url)).status).toBe(410);
    await eventually(10_000, 'its bytes are gone', async () => {
      const names = await namesStored(app.place);
      return names.length === before.length;
    });
  });

  test('what is no picture, or lies about it, stays as a file and shows nothing', async () => {
    const names = await Promise.all([
      put(ada, roomId, 'bomb.png', hugePng(50_000, 50_000)),
      put(ada, roomId, 'cut.jpg', (await upright()).subarray(0, 2000)),
      put(ada, roomId, 'a.txt', 'just text'),
    ]);
    const good = await known(ada, roomId, 'good.jpg', await upright());
    expect(good.image.width).toBe(200);
    // The jobs of pictures are done one after the other, so those before it have been.
    for (const id of names) {
      const file = await media(ada, id);
      expect(file).toMatchObject({ image: null, video: null, audio: null, pdf: null });
      const { node } = await ada.run('query ($id: ID!) { node(id: $id) { ... on File { url } } }', { id });
      expect((await get(node.url)).status).toBe(200);
    }
  });

  test('more at once than may wait are told to come again, and those that wait are made', async () => {
    const { id } = await known(ada, roomId, 'many.png', Buffer.from(await noise(400, 400).png().toBuffer()));
    const urls = await Promise.all(
      Array.from({ length: 48 }, (_, i) =>
        linkTo(ada, id, `width: ${SIDES[i % 24]}, height: 64, format: ${i < 24 ? 'JPEG' : 'WEBP'}`),
      ),
    );
    const answers = await Promise.all([...new Set(urls)].map((url) => get(url)));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(
      VIEWED.placesPerKey + VIEWED.waitingPerKey,
    );
    expect(refused.length).toBeGreaterThan(0);
    for (const { status, headers, body } of refused) {
      expect([status, headers['retry-after'], headers['cache-control']]).toEqual([503, '2', 'no-store']);
      expect(JSON.parse(body.toString())).toMatchObject({ code: 'UNAVAILABLE' });
    }
    expect((await get(urls[0] ?? '')).status).toBe(200);
  });

  test("none is refused, or made late, for another's many that are dear", async () => {
    const eve = await signUp(app.url);
    const hers = await known(eve, await eve.createRoom(), 'dear.png', hugePng(9900, 9900));
    const his = await known(ada, roomId, 'few.png', Buffer.from(await noise(300, 300).png().toBuffer()));
    const links = (client: Client, id: string, count: number): Promise<string[]> =>
      Promise.all(
        Array.from({ length: count }, (_, i) => linkTo(client, id, `width: ${SIDES[i]}, format: JPEG`)),
      );
    const [dear, few] = await Promise.all([links(eve, hers.id, 24), links(ada, his.id, 12)]);
    const ended: string[] = [];
    const making = dear.map((url) => get(url).then(() => ended.push('dear')));
    const answers = await Promise.all(few.map((url) => get(url).finally(() => ended.push('few'))));
    expect(answers.map(({ status }) => status)).toEqual(few.map(() => 200));
    // However few processors there are, hers have at most two places of three.
    expect(ended.filter((whose) => whose === 'dear').length).toBeLessThan(24);
    await Promise.all(making);
  });

  test('of what moves the first picture is shown', async () => {
    const frames = await Promise.all([0, 1, 2].map(() => noise(40, 30).png().toBuffer()));
    const gif = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer();
    expect((await sharp(gif, { animated: true }).metadata()).pages).toBe(3);
    const { id, image } = await known(ada, roomId, 'moves.gif', Buffer.from(gif));
    expect(image).toMatchObject({ width: 40, height: 30 });
    const { body } = await get(await linkTo(ada, id, 'width: 32, format: WEBP'));
    const { pages, height } = await sharp(body, { animated: true }).metadata();
    expect([pages ?? 1, height]).toEqual([1, 24]);
  });

  test.runIf(backend === 'postgres')('two processes that make one variant at once keep one', async () => {
    await using other = await startOn(app.place, WITH_PREVIEWS);
    const { id } = await known(ada, roomId, 'f.png', Buffer.from(await noise(1200, 900).png().toBuffer()));
    const before = (await namesStored(app.place)).length;
    const url = await linkTo(ada, id, 'width: 1024, format: WEBP');
    const [one, two] = await Promise.all([get(url), get(url.replace(app.url, other.url))]);
    expect([one.status, two.status, one.headers.etag]).toEqual([200, 200, two.headers.etag]);
    await eventually(10_000, 'one is kept', async () => (await namesStored(app.place)).length === before + 1);
  });
});

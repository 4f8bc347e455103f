import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { App } from '../../src/app.js';
import { makePlace, startOn, startParley, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, subscribe } from '../support/live.js';
import { known, media, noise, put, WITH_PREVIEWS } from '../support/pictures.js';
import { ServerProcess } from '../support/process.js';
import { isMissing, services } from '../support/services.js';
import { namesStored, sql } from '../support/uploads.js';
import { get } from '../support/get.js';
import { pairs } from '../support/kinds.js';

// Each of them starts programs, which are last in the queue for the processor.
vi.setConfig({ testTimeout: 120_000 });

const run = promisify(execFile);
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What ffmpeg makes of these arguments. */
async function made(name: string, ...args: string[]): Promise<Buffer<ArrayBuffer>> {
  const path = join(folder, name);
  await run('ffmpeg', ['-nostdin', '-y', '-v', 'error', ...args, path]);
  return readFile(path);
}

const film = (name = 'film.mp4', ...more: string[]): Promise<Buffer<ArrayBuffer>> =>
  made(name, '-f', 'lavfi', '-i', 'testsrc=duration=1:size=320x180:rate=10', '-pix_fmt', 'yuv420p', ...more);

/** A PDF of so many pages, each of one red square, written by hand. `more`: further entries of its trailer. */
function pdf(pages: number, more = ''): Buffer<ArrayBuffer> {
  const kids = Array.from({ length: pages }, (_, i) => `${i + 4} 0 R`);
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Count ${pages} /Kids [${kids.join(' ')}] >>`,
    '<< /Length 24 >>\nstream\n1 0 0 rg 0 0 200 100 re f\nendstream',
    ...kids.map(() => '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Contents 3 0 R >>'),
  ];
  let text = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const offset = text.length;
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const table = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}`;
  text += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${more} >>\nstartxref\n${table}\n%%EOF\n`;
  return Buffer.from(text, 'latin1');
}

describe.skipIf(isMissing(services.ffmpeg) || isMissing(services.poppler)).each(pairs)(
  'films, sounds and documents on $backend and $store',
  ({ backend, store }) => {
    let app: App & { place: Place };
    let ada: Client;
    let roomId: string;

    beforeAll(async () => {
      app = await startParley(backend, WITH_PREVIEWS, store);
      ada = await signUp(app.url);
      roomId = await ada.createRoom();
    });
    afterAll(() => app[Symbol.asyncDispose]());

    test('a film has its size, its length and a poster, which goes with it', async () => {
      const before = (await namesStored(app.place)).length;
      const found = await known(ada, roomId, 'film.mp4', await film());
      expect(found).toMatchObject({
        video: { width: 320, height: 180, durationMs: 1000 },
        audio: null,
        image: null,
      });
      const poster = await get(found.video.posterUrl);
      expect([poster.status, poster.headers['content-type']]).toEqual([200, 'image/webp']);
      expect(poster.headers['content-disposition']).toBe('inline; filename=film.webp');
      expect(await sharp(poster.body).metadata()).toMatchObject({ width: 320, height: 180 });
      expect((await namesStored(app.place)).length).toBe(before + 2);
      await ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, {
        id: found.id,
      });
      expect((await get(found.video.posterUrl)).status).toBe(410);
      await eventually(
        10_000,
        'its bytes are gone',
        async () => (await namesStored(app.place)).length === before,
      );
    });

    test('a voice message that does not state its length, as browsers record it, has the length of its sound', async () => {
      const sound = await made(
        'voice.webm',
        '-f',
        'lavfi',
        '-i',
        'sine=duration=2',
        '-c:a',
        'libopus',
        '-live',
        '1',
      );
      const found = await known(ada, roomId, 'voice.webm', sound);
      expect(found).toMatchObject({ mimeType: 'video/webm', video: null });
      expect(found.audio.durationMs).toBeGreaterThan(1900);
      expect(found.audio.durationMs).toBeLessThan(2100);
    });

    test('a film of one picture, with sound that goes on for long, has that picture as its poster', async () => {
      const still = await made(
        ...['still.mp4', '-f', 'lavfi', '-i', 'testsrc=duration=0.1:size=320x180:rate=10'],
        ...['-f', 'lavfi', '-i', 'sine=duration=30', '-pix_fmt', 'yuv420p'],
      );
      const { video } = await known(ada, roomId, 'still.mp4', still);
      expect(video).toMatchObject({ width: 320, height: 180 });
      expect(video.durationMs).toBeGreaterThan(29_000);
      expect((await get(video.posterUrl)).status).toBe(200);
    });

    test('a film in another container, and one that was held upright', async () => {
      const webm = await known(ada, roomId, 'a.webm', await film('a.webm', '-c:v', 'libvpx', '-b:v', '200k'));
      expect(webm).toMatchObject({ mimeType: 'video/webm', video: { width: 320, height: 180 } });
      await film('flat.mp4');
      const turned = await made(
        'turned.mp4',
        '-i',
        join(folder, 'flat.mp4'),
        '-c',
        'copy',
        '-metadata:s:v',
        'rotate=90',
      );
      const { video } = await known(ada, roomId, 'turned.mp4', turned);
      expect(video).toMatchObject({ width: 180, height: 320 });
      expect(await sharp((await get(video.posterUrl)).body).metadata()).toMatchObject({
        width: 180,
        height: 320,
      });
    });

    test.each(['mp3', 'wav', 'ogg', 'flac', 'm4a'])('a sound in %s has its length', async (kind) => {
      const bytes = await made(`a.${kind}`, '-f', 'lavfi', '-i', 'sine=duration=2');
      const { audio, video } = await known(ada, roomId, `a.${kind}`, bytes);
      expect(video).toBeNull();
      expect(Math.abs(audio.durationMs - 2000)).toBeLessThan(150);
    });

    test('a PDF has its pages, and a picture of the first one', async () => {
      const found = await known(ada, roomId, 'a.pdf', pdf(3));
      expect(found.pdf.pages).toBe(3);
      const { body } = await get(found.pdf.previewUrl);
      expect(await sharp(body).metadata()).toMatchObject({ format: 'webp', width: 1280, height: 640 });
      const { dominant } = await sharp(body).stats();
      expect([dominant.r > 200, dominant.g < 60]).toEqual([true, true]);
      expect((await known(ada, roomId, 'many.pdf', pdf(20_000))).pdf.pages).toBe(20_000);
    });

    test('what is broken, encrypted or noise stays as a file and shows nothing, and nobody goes on trying', async () => {
      const whole = await film();
      const locked =
        '/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (0123456789abcdef0123456789abcdef) /U (0123456789abcdef0123456789abcdef) >> /ID [(0123456789abcdef) (0123456789abcdef)]';
      // A playlist behind the signature of a film: the demuxer is named, so nothing is opened that it names.
      const playlist = Buffer.concat([
        whole.subarray(0, 32),
        Buffer.from('\n#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n'),
      ]);
      const ids = await Promise.all([
        put(ada, roomId, 'cut.mp4', whole.subarray(0, 2000)),
        put(ada, roomId, 'noise.mp4', Buffer.concat([whole.subarray(0, 32), randomBytes(100_000)])),
        put(ada, roomId, 'list.mp4', playlist),
        put(ada, roomId, 'locked.pdf', pdf(1, locked)),
        put(ada, roomId, 'broken.pdf', '%PDF-1.7\nnothing'),
      ]);
      // The jobs of a kind are done one after the other.
      await known(ada, roomId, 'good.mp4', whole);
      await known(ada, roomId, 'good.pdf', pdf(1));
      for (const id of ids)
        expect(await media(ada, id)).toMatchObject({ video: null, audio: null, pdf: null });
      if (backend === 'postgres') {
        await eventually(
          10_000,
          'no job is left',
          async () => (await sql(app.place, 'select from jobs')).length === 0,
        );
      }
    });

    test('is ready, and names the programs', async () => {
      const answer = await fetch(`${app.url}/readyz`);
      expect(await answer.json()).toMatchObject({ status: 'ok', ffmpeg: 'ok', poppler: 'ok' });
    });
  },
);

test('where the programs are missing nothing is known of films, which is told, and is found out once they are there', async () => {
  await using place = await makePlace('embedded');
  const bytes = isMissing(services.ffmpeg) ? Buffer.from('RIFF') : await film();
  let ada: Client;
  let id: string;
  {
    await using app = await startOn(place, { PREVIEWS: 'true', PATH: folder });
    const answer = await fetch(`${app.url}/readyz`);
    expect([answer.status, await answer.json()]).toMatchObject([
      200,
      { status: 'ok', ffmpeg: 'missing', poppler: 'missing' },
    ]);
    ada = await signUp(app.url);
    const roomId = await ada.createRoom();
    id = await put(ada, roomId, 'film.mp4', bytes);
    // Pictures need nothing.
    const png = Buffer.from(await noise(9, 9).png().toBuffer());
    expect((await known(ada, roomId, 'a.png', png)).image.width).toBe(9);
    expect((await media(ada, id)).video).toBeNull();
  }
  if (isMissing(services.ffmpeg)) return;
  await using app = await startOn(place, WITH_PREVIEWS);
  const again = new Client(app.url, ada.token);
  await eventually(60_000, 'the film is known', async () => (await media(again, id)).video !== null);
});

test('switched off, nothing is known and no picture is made', async () => {
  await using app = await startParley('embedded', { ...WITH_PREVIEWS, PREVIEWS: 'false' });
  const ada = await signUp(app.url);
  const id = await put(ada, await ada.createRoom(), 'a.png', Buffer.from(await noise(9, 9).png().toBuffer()));
  expect((await media(ada, id)).image).toBeNull();
  const answer = await fetch(`${app.url}/readyz`);
  expect(await answer.json()).toMatchObject({ status: 'ok', ffmpeg: 'off', poppler: 'off' });
});

describe.skipIf(isMissing(services.postgres) || isMissing(services.redis) || isMissing(services.ffmpeg))(
  'A process that is killed over a film',
  () => {
    test('leaves it to another one, which finds it out and tells the room', async () => {
      const stuck = join(folder, 'stuck');
      await mkdir(stuck);
      for (const name of ['ffprobe', 'ffmpeg'])
        await writeFile(join(stuck, name), '#!/bin/sh\nexec /bin/sleep 20\n', { mode: 0o755 });
      await using place = await makePlace('postgres');
      let ada: Client;
      let roomId: string;
      let id: string;
      {
        await using first = await ServerProcess.start(place, { PREVIEWS: 'true', PATH: stuck });
        ada = await signUp(first.url);
        roomId = await ada.createRoom();
        id = await put(ada, roomId, 'film.mp4', await film());
        await eventually(60_000, 'the job was begun', async () => {
          const [job] = await sql<{ attempts: number }>(
            place,
            "select attempts from jobs where kind = 'film'",
          );
          return job?.attempts === 1;
        });
        await first.kill('SIGKILL');
      }
      // As when its hold has run out.
      await sql(place, 'update jobs set run_at = now()');
      await using second = await startOn(place, WITH_PREVIEWS);
      const again = new Client(second.url, ada.token);
      await eventually(60_000, 'the film is known', async () => (await media(again, id)).video !== null);
      const feed = subscribe(
        live(again),
        'subscription ($id: ID!) { roomEvents(roomId: $id, last: 10) { __typename } }',
        { id: roomId },
      );
      await eventually(10_000, 'the room was told', () =>
        feed.results.some(({ roomEvents }) => roomEvents.__typename === 'FileChanged'),
      );
      feed.stop();
    });
  },
);

import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { zipSync } from '../support/zip.js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createApp, type App } from '../../src/app.js';
import { readConfig } from '../../src/config/env.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, startParley, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { readiness, untilReadiness } from '../support/readiness.js';
import { eventually } from '../support/deadline.js';
import { EICAR } from '../support/eicar.js';
import { FOUND, isMissing, services, startClamd, type ClamdServer } from '../support/services.js';
import { counts } from '../../src/observability/counts.js';
import {
  kept,
  keptSoon,
  manyFiles,
  multipart,
  oneFile,
  picture,
  PNG,
  type Kept,
} from '../support/uploads.js';
import type { Answer } from '../support/multipart-request.js';
import { kinds } from '../support/kinds.js';
import { createUpload, ended, sendByTus } from '../support/resumable.js';

const MIB = 1024 * 1024;

const backend = backends.at(-1) ?? 'embedded';

const errorOf = ({ body }: Answer): string => JSON.parse(body).errors[0].extensions.code;
const codeOf = async (client: Client, roomId: string, bytes: Buffer, name = 'x.txt'): Promise<string> =>
  (await client.upload(roomId, name, new Uint8Array(bytes))).errors[0]?.extensions['code'] ?? 'stored';

interface Setting {
  readonly app: App & { readonly place: Place };
  readonly ada: Client;
  readonly roomId: string;
  readonly before: Kept;
}

/** A server that scans at `url`. */
async function scanning(url: string, more: Record<string, string> = {}): Promise<Setting> {
  const app = await startParley(backend, { CLAMAV_URL: url, ...more });
  const ada = await signUp(app.url);
  const roomId = await ada.createRoom();
  return { app, ada, roomId, before: await kept(app.place, ada, roomId) };
}

describe.skipIf(isMissing(services.clamd))('A server with a scanner', () => {
  describe.each(kinds)('on $backend, with files in $store', (kind) => {
    let clamd: ClamdServer;
    let app: App & { place: Place };
    let ada: Client;
    let roomId: string;
    let before: Kept;

    beforeAll(async () => {
      clamd = await startClamd('MaxFileSize 4M', 'MaxScanSize 4M');
      app = await startParley(
        kind.backend,
        { CLAMAV_URL: clamd.url, CLAMAV_MAX_BYTES: String(4 * MIB) },
        kind.store,
      );
      ada = await signUp(app.url);
    });
    beforeEach(async () => {
      roomId = await ada.createRoom();
      before = await kept(app.place, ada, roomId);
    });
    afterAll(async () => {
      await app[Symbol.asyncDispose]();
      await clamd[Symbol.asyncDispose]();
    });

    test('stores what is clean, byte for byte, and says that it scans', async () => {
      for (const size of [100, 64 * 1024, 64 * 1024 + 1, 3 * MIB]) {
        const bytes = picture(size);
        const { data } = await ada.upload(roomId, 'x.png', new Uint8Array(bytes));
        const { url } = data['uploadFile'].file;
        expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
      }
      expect(await readiness(app.url)).toMatchObject({ status: 'ok', scanner: 'ok' });
    });

    test.each([
      ['as it is', EICAR],
      ['in a zip', zipSync({ 'readme.txt': Buffer.from('hello'), 'x.txt': EICAR })],
      ['in a zip in a zip', zipSync({ 'x.zip': zipSync({ 'x.txt': EICAR }) })],
      ['behind a picture', Buffer.concat([picture(300_000), EICAR])],
      [
        'in the middle of a text',
        Buffer.concat([Buffer.alloc(200_000, 'a'), EICAR, Buffer.alloc(200_000, 'b')]),
      ],
      ['at the very end of the largest file', Buffer.concat([picture(4 * MIB - EICAR.length), EICAR])],
    ])('keeps nothing of a virus %s', async (_where, bytes) => {
      const infected = counts.scans.infected;
      expect(await codeOf(ada, roomId, bytes)).toBe('FILE_INFECTED');
      await keptSoon(app.place, ada, roomId, before);
      expect(counts.scans.infected).toBe(infected + 1);
    });

    test('lets one infected file sink no others', async () => {
      const request = await multipart(ada).head(...manyFiles(roomId, 3));
      await request.file('0', 'a.png', picture(100_000));
      await request.file('1', 'b.txt', EICAR);
      await request.file('2', 'c.png', picture(200_000));
      const { outcomes } = JSON.parse((await request.end()).body).data.uploadFiles;
      expect(outcomes.map((outcome: any) => outcome.code ?? outcome.file.name)).toEqual([
        'a.png',
        'FILE_INFECTED',
        'c.png',
      ]);
      await keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + 2, rows: before.rows + 2 });
    });

    test('keeps nothing of a virus that comes by tus, which is refused where it is finished', async () => {
      const bytes = Buffer.concat([picture(300_000), EICAR]);
      const upload = await createUpload(ada, roomId, bytes.length);
      await sendByTus(bytes, upload['url'], upload['token'].token, { chunkSize: 100_000 });
      expect(await ended(ada, upload['id'])).toMatchObject({
        state: 'REFUSED',
        code: 'FILE_INFECTED',
        file: null,
      });
      await keptSoon(app.place, ada, roomId, before);
    });

    test('refuses what the scanner does not look through', async () => {
      const bomb = zipSync({ 'x.txt': Buffer.concat([Buffer.alloc(8 * MIB), EICAR]) });
      expect(bomb.length).toBeLessThan(100_000);
      let nested = EICAR;
      for (let depth = 0; depth < 30; depth += 1) nested = zipSync({ 'x.zip': nested });
      for (const bytes of [bomb, nested, picture(4 * MIB + 1)])
        expect(await codeOf(ada, roomId, bytes)).toBe('FILE_TOO_LARGE');
      await keptSoon(app.place, ada, roomId, before);
    });
  });

  describe('that fails', () => {
    let clamd: ClamdServer;
    let it: Setting;

    beforeAll(async () => {
      clamd = await startClamd('StreamMaxLength 1M');
      it = await scanning(clamd.url, { CLAMAV_TIMEOUT: '1s' });
    });
    afterAll(async () => {
      await it.app[Symbol.asyncDispose]();
      await clamd[Symbol.asyncDispose]();
    });

    const nothingKept = (): Promise<void> => keptSoon(it.app.place, it.ada, it.roomId, it.before);
    /** Takes what it has just refused: the next test finds the room empty. */
    const takesAgain = async (): Promise<void> => {
      const { data } = await it.ada.upload(it.roomId, 'x.png', PNG);
      const { id } = data['uploadFile'].file;
      await it.ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, {
        id,
      });
      await nothingKept();
    };
    /** An upload that has begun, and goes on when it is told to. */
    const begun = async () => {
      const request = await multipart(it.ada).head(...oneFile(it.roomId));
      await request.beginFile('file', 'x.png');
      await request.raw(picture(200_000));
      await eventually(10_000, 'the beginning of an upload', async () => {
        const { stored, leases } = await kept(it.app.place, it.ada, it.roomId);
        return stored > it.before.stored || leases > it.before.leases;
      });
      return request;
    };

    test('is refused before, and takes files again once it is back', async () => {
      await clamd.kill();
      expect(await codeOf(it.ada, it.roomId, PNG)).toBe('UNAVAILABLE');
      expect(await untilReadiness(it.app.url, 'degraded')).toMatchObject({
        code: 200,
        scanner: 'down',
        database: 'ok',
      });
      await nothingKept();
      await clamd.start();
      await takesAgain();
      expect(await untilReadiness(it.app.url, 'ok')).toMatchObject({ scanner: 'ok' });
    });

    test('is refused when it is killed in the middle of an upload', async () => {
      const request = await begun();
      await clamd.kill();
      for (let i = 0; i < 5; i += 1) await request.raw(randomBytes(100_000));
      await request.raw('\r\n');
      expect(errorOf(await request.end())).toBe('UNAVAILABLE');
      await nothingKept();
      await clamd.start();
    });

    test('is refused when it is killed before its answer', async () => {
      const request = await begun();
      clamd.pause();
      await request.raw('\r\n');
      const answer = request.end();
      await clamd.kill();
      expect(errorOf(await answer)).toBe('UNAVAILABLE');
      await nothingKept();
      await clamd.start();
    });

    test('is refused when it falls silent, with bytes on their way or none', async () => {
      clamd.pause();
      expect(await codeOf(it.ada, it.roomId, PNG)).toBe('UNAVAILABLE');
      expect(await codeOf(it.ada, it.roomId, picture(20 * MIB))).toBe('UNAVAILABLE');
      expect(await untilReadiness(it.app.url, 'degraded')).toMatchObject({ scanner: 'down' });
      await nothingKept();
      clamd.resume();
      await takesAgain();
    });

    test('is refused where the scanner takes less than it is said to', async () => {
      expect(await codeOf(it.ada, it.roomId, picture(MIB + 1))).toBe('UNAVAILABLE');
      expect(await codeOf(it.ada, it.roomId, picture(20 * MIB))).toBe('UNAVAILABLE');
      await nothingKept();
    });

    test('is let go by a client that goes away', async () => {
      const request = await begun();
      await request.abort();
      await nothingKept();
      await takesAgain();
    });
  });

  test('starts without it, and takes files once it is there', async () => {
    await using clamd = await startClamd();
    await clamd.kill();
    const { app, ada, roomId, before } = await scanning(clamd.url);
    expect(await codeOf(ada, roomId, PNG)).toBe('UNAVAILABLE');
    await keptSoon(app.place, ada, roomId, before);
    await clamd.start();
    expect(await codeOf(ada, roomId, PNG)).toBe('stored');
    await app[Symbol.asyncDispose]();
  });

  test('takes more files at once than the scanner has threads', async () => {
    await using clamd = await startClamd('MaxThreads 2');
    const { app, ada, roomId } = await scanning(clamd.url);
    const bytes = Array.from({ length: 24 }, (_, i) => (i % 6 === 0 ? EICAR : picture(300_000 + i)));
    const codes = await Promise.all(bytes.map((one) => codeOf(ada, roomId, one)));
    expect(codes).toEqual(bytes.map((one) => (one === EICAR ? 'FILE_INFECTED' : 'stored')));
    await app[Symbol.asyncDispose]();
  });

  test('tells its log who sent what', async () => {
    await using clamd = await startClamd();
    await using place = await makePlace(backend);
    let log = '';
    const logger = createLogger('warn', { write: (line: string) => void (log += line) });
    const app = await createApp(readConfig(environmentOf(place, { CLAMAV_URL: clamd.url })), logger);
    const ada = await signUp(app.url);
    const roomId = await ada.createRoom();
    expect(await codeOf(ada, roomId, EICAR, '../a\u202Etxt.exe')).toBe('FILE_INFECTED');
    const lines = log
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Record<string, unknown>)
      // A machine that allows few file descriptors is warned of at the start.
      .filter(({ userId }) => userId !== undefined);
    const [line = {}] = lines;
    expect(lines).toHaveLength(1);
    expect(line).toMatchObject({
      level: 40,
      msg: 'an infected file was refused',
      found: FOUND,
      file: {
        name: 'atxt.exe',
        mimeType: 'text/plain',
        size: 68,
        sha256: '275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f',
      },
    });
    for (const id of [line['userId'], line['roomId']]) expect(id).toMatch(/^[0-9a-f-]{36}$/);
    await app[Symbol.asyncDispose]();
  });
});

describe('A scanner that is none', () => {
  let server: Server;
  let it: Setting;
  let says = '';

  beforeAll(async () => {
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (data) => {
        const command = data.toString('latin1');
        if (command.startsWith('zPING')) socket.end('PONG\0');
        else socket.write(says);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    it = await scanning(`tcp://127.0.0.1:${port}`, { CLAMAV_TIMEOUT: '2s' });
  });
  afterAll(async () => {
    await it.app[Symbol.asyncDispose]();
    server.close();
  });

  test.each([
    ['OK before the end', 'stream: OK\0'],
    ['nothing that is known', 'stream: fine\0'],
    ['no end', 'x'.repeat(10_000)],
    ['that it waited too long', 'COMMAND READ TIMED OUT\n'],
    ['an error', 'INSTREAM size limit exceeded. ERROR\0'],
  ])('and that says %s is believed nothing', async (_what, answer) => {
    says = answer;
    expect(await codeOf(it.ada, it.roomId, picture(5 * MIB))).toBe('UNAVAILABLE');
    await keptSoon(it.app.place, it.ada, it.roomId, it.before);
  });
});

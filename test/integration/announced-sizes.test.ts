import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectPostgres } from '../../src/db/dialect.js';
import { createLogger } from '../../src/observability/logger.js';
import { migrations } from '../../migrations/index.js';
import type { App } from '../../src/app.js';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import {
  at,
  CANCEL_UPLOAD,
  CREATE_UPLOAD,
  createUpload,
  ended,
  patch,
  picture,
  tusRequest,
} from '../support/resumable.js';
import { sql } from '../support/uploads.js';

const QUOTA = 10_000;
const env = { QUOTA_USER_BYTES: String(QUOTA), QUOTA_ROOM_BYTES: String(2 * QUOTA) };

describe.each(backends)('On %s, the announced size of an open upload', (backend) => {
  let place: Place;
  let app: App;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace(backend);
    app = await startOn(place, env);
  });
  beforeEach(async () => {
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  /** The code of a refusal, or `ok`. */
  const announce = async (size: number, client = ada, room = roomId): Promise<string> => {
    const input = { roomId: room, name: 'a.png', size };
    const { errors } = await client.ask(CREATE_UPLOAD, { input });
    return errors[0]?.extensions['code'] ?? 'ok';
  };
  const upload = async (size: number, client = ada): Promise<string> => {
    const { errors } = await client.upload(roomId, 'b.png', picture(size) as never);
    return errors[0]?.extensions['code'] ?? 'ok';
  };
  const used = async (): Promise<number> =>
    (await ada.run('{ viewer { storage { usedBytes } } }'))['viewer'].storage.usedBytes;

  test('counts against the quota from the beginning, and is not shown as used', async () => {
    expect(await announce(6000)).toBe('ok');
    expect(await announce(4001)).toBe('QUOTA_EXCEEDED');
    expect(await upload(4001)).toBe('QUOTA_EXCEEDED');
    expect(await used()).toBe(0);
    expect(await upload(3000)).toBe('ok');
    expect(await used()).toBe(3000);
    expect(await announce(1001)).toBe('QUOTA_EXCEEDED');
    expect(await announce(1000)).toBe('ok');
    expect(await upload(100)).toBe('QUOTA_EXCEEDED');
  });

  test('counts against the quota of the room, whoever announces it', async () => {
    const [bob, eve] = await Promise.all([signUp(app.url), signUp(app.url)]);
    for (const client of [bob, eve]) await client.join(roomId);
    expect(await announce(QUOTA)).toBe('ok');
    expect(await announce(QUOTA, bob)).toBe('ok');
    expect(await announce(100, eve)).toBe('QUOTA_EXCEEDED');
    expect(await upload(100, eve)).toBe('QUOTA_EXCEEDED');
    expect(await announce(100, eve, await eve.createRoom())).toBe('ok');
  });

  test('lets no more in than fit, however many come at once', async () => {
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => announce(3000)),
      ...Array.from({ length: 4 }, () => upload(3000)),
    ]);
    expect(answers.filter((code) => code === 'ok')).toHaveLength(3);
    expect(new Set(answers)).toEqual(new Set(['ok', 'QUOTA_EXCEEDED']));
  });

  test('becomes use when the file is there, and can fill the quota to the byte', async () => {
    const { id, url, token } = await createUpload(ada, roomId, QUOTA).then((session) => ({
      id: session['id'] as string,
      url: at(app.url, session),
      token: session['token'].token as string,
    }));
    const bytes = picture(QUOTA);
    await patch(url, token, 0, bytes.subarray(0, 4000));
    expect(await announce(100)).toBe('QUOTA_EXCEEDED');
    expect(await used()).toBe(0);
    await patch(url, token, 4000, bytes.subarray(4000));
    expect(await ended(ada, id)).toMatchObject({ state: 'DONE' });
    expect(await used()).toBe(QUOTA);
    expect(await announce(1)).toBe('QUOTA_EXCEEDED');
  });

  test('is free again when the upload is cancelled, refused or expires, or its room is deleted', async () => {
    const whole = () => createUpload(ada, roomId, QUOTA);

    const cancelled = await whole();
    await ada.run(CANCEL_UPLOAD, { id: cancelled['id'] });

    const terminated = await whole();
    await tusRequest(at(app.url, terminated), 'DELETE', terminated['token'].token);

    const refused = await whole();
    await patch(at(app.url, refused), refused['token'].token, 0, randomBytes(QUOTA));
    expect(await ended(ada, refused['id'])).toMatchObject({ state: 'REFUSED' });

    await whole();
    await ada.run(`mutation ($id: ID!) { deleteRoom(input: { roomId: $id }) { deletedRoomId } }`, {
      id: roomId,
    });
    roomId = await ada.createRoom();
    await eventually(20_000, 'room for another upload', async () => (await announce(QUOTA)) === 'ok');
  });

  test.runIf(backend === 'postgres')('is free again when the upload expires', async () => {
    expect(await announce(QUOTA)).toBe('ok');
    expect(await announce(1)).toBe('QUOTA_EXCEEDED');
    await sql(place, 'update upload_sessions set expires_at = now()');
    expect(await announce(QUOTA)).toBe('ok');
  });

  test.runIf(backend === 'postgres')('counts over processes', async () => {
    await using other = await startOn(place, env);
    const elsewhere = new Client(other.url, ada.token, ada.userId);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => announce(3000, i % 2 === 0 ? ada : elsewhere)),
    );
    expect(answers.filter((code) => code === 'ok')).toHaveLength(3);
  });

  test.runIf(backend === 'postgres')('counts also where the upload was open before an upgrade', async () => {
    const { up, down } = migrations['0014_fair_work']!;
    const db = connectPostgres({ databasePoolSize: 2 }, place.env['DATABASE_URL']!, createLogger('silent'));
    expect(await announce(6000)).toBe('ok');
    await down!(db);
    await up(db);
    await db.destroy();
    expect(await announce(4001)).toBe('QUOTA_EXCEEDED');
    expect(await announce(4000)).toBe('ok');
  });

  test('begins no upload in a room that is being deleted', async () => {
    for (let round = 0; round < 5; round += 1) {
      const room = await ada.createRoom();
      const [, ...codes] = await Promise.all([
        ada.run(`mutation ($id: ID!) { deleteRoom(input: { roomId: $id }) { deletedRoomId } }`, { id: room }),
        ...Array.from({ length: 8 }, () => announce(1, ada, room)),
      ]);
      expect(['NOT_FOUND', 'ok']).toEqual(expect.arrayContaining([...new Set(codes)]));
      expect(await announce(1, ada, room)).toBe('NOT_FOUND');
    }
  });
});

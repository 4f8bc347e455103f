import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { environmentOf, makePlace, startOn, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { Command } from '../support/command.js';
import { eventually } from '../support/deadline.js';
import { stores } from '../support/object-store.js';
import {
  at,
  createUpload,
  ended,
  hang,
  offsetOf,
  patch,
  picture,
  sendByTus,
  sha256,
  uploadOf,
} from '../support/resumable.js';
import { isMissing, services } from '../support/services.js';
import { holdRoom, kept, keptSoon, sql } from '../support/uploads.js';

const MIB = 1024 * 1024;

describe.skipIf(isMissing(services.postgres) || isMissing(services.redis)).each(stores)(
  'resumable uploads into %s, whose process is killed',
  (store) => {
    let place: Place;
    let other: App;
    let ada: Client;

    beforeAll(async () => {
      place = await makePlace('postgres', store);
      other = await startOn(place);
      ada = await signUp(other.url);
    });
    afterAll(async () => {
      await other[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    });

    const startDoomed = (): Command =>
      new Command('main', [], { cwd: place.dataDir, env: environmentOf(place) });
    const kill = async (doomed: Command): Promise<void> => {
      doomed.signal('SIGKILL');
      await doomed.end();
    };

    test('go on at another process, behind what was stored, and are the same file', async () => {
      const roomId = await ada.createRoom();
      const before = await kept(place, ada, roomId);
      const bytes = picture(40 * MIB);
      const upload = await createUpload(ada, roomId, bytes.length);
      const { token } = upload['token'];
      await using doomed = startDoomed();
      const url = at(await doomed.ready(), upload);
      const hanging = hang(url, token, bytes.subarray(0, 30 * MIB), bytes.length);
      await eventually(60_000, 'some of it is stored', async () => {
        const seen = await uploadOf(ada, upload['id']);
        return Number(seen?.['offset']) > 4 * MIB;
      });
      await kill(doomed);
      await hanging.over;
      // Its lock runs out first: a request waits for that.
      const offset = await offsetOf(at(other.url, upload), token);
      expect(offset).toBeGreaterThan(4 * MIB);
      await sendByTus(bytes, at(other.url, upload), token);
      expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
      await keptSoon(place, ada, roomId, { ...before, stored: before.stored + 1, rows: 1 });
    });

    test('between the last byte and the room are finished by another process, once', async () => {
      const roomId = await ada.createRoom();
      const before = await kept(place, ada, roomId);
      const bytes = picture(6 * MIB);
      const upload = await createUpload(ada, roomId, bytes.length);
      const { token } = upload['token'];
      await using doomed = startDoomed();
      const url = await doomed.ready();
      await using room = await holdRoom(place, roomId);
      const { status } = await patch(at(url, upload), token, 0, bytes);
      expect(status).toBe(204);
      await eventually(60_000, 'a process is at it', async () => {
        const [job] = await sql<{ attempts: number }>(
          place,
          `select attempts from jobs where kind = 'upload'`,
        );
        return job !== undefined && job.attempts > 0;
      });
      await kill(doomed);
      expect(await uploadOf(ada, upload['id'])).toMatchObject({ state: 'PROCESSING', file: null });
      await room.letGo();
      // As if its hold had run out.
      await sql(place, `update jobs set run_at = now() where kind = 'upload'`);
      expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
      await keptSoon(place, ada, roomId, { ...before, stored: before.stored + 1, rows: 1 });
    });
  },
);

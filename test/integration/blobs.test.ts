import { randomBytes, randomInt } from 'node:crypto';
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { readConfig } from '../../src/config/env.js';
import { withDatabase } from '../../src/db/command.js';
import { checkFiles } from '../../src/files/files-check.js';
import { openStorage } from '../../src/files/storage/open.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { stores } from '../support/object-store.js';
import { ServerProcess } from '../support/process.js';
import { isMissing, services } from '../support/services.js';
import { withClient } from '../support/services/databases.js';
import { namesStored, PNG, sql } from '../support/uploads.js';

type Bytes = Uint8Array<ArrayBuffer>;
const picture = (size = 2000): Bytes => new Uint8Array(Buffer.concat([PNG, randomBytes(size - PNG.length)]));

interface Uploaded {
  readonly id: string;
  readonly url: string;
}

const logger = createLogger('silent');
const kinds = backends.flatMap((backend) => stores.map((store) => ({ backend, store })));

async function upload(client: Client, roomId: string, bytes: Bytes, more = {}): Promise<Uploaded> {
  const { data, errors } = await client.upload(roomId, 'a.png', bytes, more);
  expect(errors).toEqual([]);
  return data['uploadFile'].file as Uploaded;
}

const remove = (client: Client, { id }: Uploaded): Promise<unknown> =>
  client.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, { id });

async function expectBytes({ url }: Uploaded, bytes: Bytes): Promise<void> {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), bytes)).toBe(0);
}

/** What `npm run files -- check --hashes` says of a place; an embedded database must not be in use. */
async function check(place: Place): Promise<string[]> {
  const config = readConfig(environmentOf(place));
  const opened = await openStorage(config);
  const lines: string[] = [];
  const tell = (line: string): void => void lines.push(line);
  try {
    await withDatabase(config, logger, (db) =>
      checkFiles({ db, logger, tell, storage: opened.storage }, { mend: false, hashes: true }),
    );
  } finally {
    opened.close();
  }
  return lines;
}

describe.each(kinds)(
  'Files of one content on $backend, in $store',
  { timeout: 120_000 },
  ({ backend, store }) => {
    let place: Place;
    let apps: App[];
    /** One user, at one server after the other, as far as there may be several. */
    let clients: Client[];
    let ada: Client;
    let roomId: string;
    /** Files that are there, by content. */
    let files = 0;
    let contents = 0;

    beforeAll(async () => {
      place = await makePlace(backend, store);
      apps = [await startOn(place)];
      if (backend === 'postgres') apps.push(await startOn(place));
      ada = await signUp(apps[0]!.url);
      clients = apps.map(({ url }) => new Client(url, ada.token, ada.userId));
      roomId = await ada.createRoom();
    });
    afterAll(async () => {
      for (const app of apps) await app[Symbol.asyncDispose]();
      try {
        expect(await check(place)).toEqual([`${files} files, ${contents} contents: 0 broken; 0 orphans`]);
      } finally {
        await place[Symbol.asyncDispose]();
      }
    });

    /** Resolves once storage holds each content that there is once, and nothing else. */
    const tidy = async (): Promise<void> => {
      await eventually(20_000, `${contents} contents are stored`, async () => {
        const names = await namesStored(place);
        if (names.length !== contents) throw new Error(`${names.length} are stored`);
        return true;
      });
      if (backend !== 'postgres') return;
      expect(await check(place)).toEqual([`${files} files, ${contents} contents: 0 broken; 0 orphans`]);
    };

    test('are stored once, and each is there until it is deleted, the bytes as long as one is', async () => {
      const bytes = picture();
      const other = await ada.createRoom('PRIVATE');
      const [first, second] = [await upload(ada, roomId, bytes), await upload(ada, other, bytes)];
      files += 2;
      contents += 1;
      await tidy();
      await expectBytes(first, bytes);
      await expectBytes(second, bytes);

      await remove(ada, first);
      files -= 1;
      await tidy();
      expect((await fetch(first.url)).status).toBe(410);
      await expectBytes(second, bytes);

      await remove(ada, second);
      files -= 1;
      contents -= 1;
      await tidy();
      expect((await fetch(second.url)).status).toBe(410);
    });

    test('that were all deleted are stored anew, under another key', async () => {
      const bytes = picture();
      const before = await namesStored(place);
      const first = await upload(ada, roomId, bytes);
      const old = (await namesStored(place)).find((name) => !before.includes(name));
      await remove(ada, first);
      const second = await upload(ada, roomId, bytes);
      files += 1;
      contents += 1;
      await tidy();
      expect(await namesStored(place)).not.toContain(old);
      await expectBytes(second, bytes);
    });

    test('a repeated call with its key stores nothing, shared or not', async () => {
      const bytes = picture();
      const [first, again] = [
        await upload(ada, roomId, bytes, { idempotencyKey: 'once' }),
        await upload(ada, roomId, bytes, { idempotencyKey: 'once' }),
      ];
      expect(again.id).toBe(first.id);
      const shared = await upload(ada, roomId, bytes, { idempotencyKey: 'shared' });
      expect((await upload(ada, roomId, bytes, { idempotencyKey: 'shared' })).id).toBe(shared.id);
      files += 2;
      contents += 1;
      await tidy();
    });

    test('that come at once are stored once', async () => {
      const bytes = picture(300_000);
      const rooms = await Promise.all([1, 2, 3, 4].map(() => ada.createRoom()));
      const uploaded = await Promise.all(
        Array.from({ length: 20 }, (_, i) => upload(clients[i % clients.length]!, rooms[i % 4]!, bytes)),
      );
      files += 20;
      contents += 1;
      await tidy();
      for (const file of uploaded) await expectBytes(file, bytes);

      await Promise.all(uploaded.map((file, i) => remove(clients[i % clients.length]!, file)));
      files -= 20;
      contents -= 1;
      await tidy();
    });

    test('a new one is whole, however it meets the deletion of the last one before it', async () => {
      const bytes = picture();
      const other = await ada.createRoom();
      let last = await upload(ada, roomId, bytes);
      contents += 1;
      files += 1;
      for (let round = 0; round < 15; round += 1) {
        const [mine, theirs] = [clients[round % clients.length]!, clients.at(-1)!];
        const [next] = await Promise.all([
          pause(randomInt(15)).then(() => upload(mine, round % 2 === 0 ? other : roomId, bytes)),
          pause(randomInt(25)).then(() => remove(theirs, last)),
        ]);
        await expectBytes(next, bytes);
        last = next;
      }
      await tidy();
      await expectBytes(last, bytes);
    });

    test.runIf(store === 'disk')(
      'whose bytes were lost are made whole by the next upload of them',
      async () => {
        const pathOf = (name: string): string => join(place.dataDir, 'files', name.slice(0, 2), name);
        for (const harm of [rm, (path: string) => truncate(path, 10)]) {
          const bytes = picture();
          const before = await namesStored(place);
          const first = await upload(ada, roomId, bytes);
          const name = (await namesStored(place)).find((stored) => !before.includes(stored))!;
          await harm(pathOf(name));
          const second = await upload(ada, roomId, bytes);
          files += 2;
          contents += 1;
          await expectBytes(second, bytes);
          await expectBytes(first, bytes);
          await tidy();
          expect(await namesStored(place)).not.toContain(name);
        }
      },
    );
  },
);

describe.skipIf(isMissing(services.postgres)).each(stores)(
  'A server that dies, with its bytes in %s',
  (store) => {
    test(
      'between the commit of a second file of a content and the removal of what came leaves nothing',
      { timeout: 120_000 },
      async () => {
        await using place = await makePlace('postgres', store);
        const bytes = picture();
        let first: Uploaded;
        let second: Uploaded;
        {
          await using server = await ServerProcess.start(place);
          const ada = await signUp(server.url);
          const roomId = await ada.createRoom();
          first = await upload(ada, roomId, bytes);
          await withClient(place.env['DATABASE_URL']!, async (client) => {
            // No sweep gets at what was left before the server is gone.
            await client.query(`
          create function wait_for_test() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock(4711); return new; end $$;
          create trigger wait_for_test before update on upload_leases
            for each row when (old.expires_at = 'epoch') execute function wait_for_test();
          select pg_advisory_lock(4711)`);
            second = await upload(ada, roomId, bytes);
            expect(await sql(place, `select from upload_leases where expires_at = 'epoch'`)).toHaveLength(1);
            await server.kill('SIGKILL');
            expect(await namesStored(place)).toHaveLength(2);
            await client.query('select pg_advisory_unlock(4711)');
            await client.query('drop function wait_for_test cascade');
          });
        }
        await using next = await startOn(place);
        await eventually(20_000, 'the rest is swept', async () => (await namesStored(place)).length === 1);
        for (const { url } of [first, second!]) {
          const { pathname, search } = new URL(url);
          await expectBytes({ id: '', url: next.url + pathname + search }, bytes);
        }
        expect(await check(place)).toEqual(['2 files, 1 contents: 0 broken; 0 orphans']);
      },
    );
  },
);

describe('An embedded server that dies', () => {
  test(
    'as soon as it has answered a second file of a content leaves nothing either',
    { timeout: 120_000 },
    async () => {
      await using place = await makePlace('embedded');
      const bytes = picture();
      {
        await using server = await ServerProcess.start(place);
        const ada = await signUp(server.url);
        const roomId = await ada.createRoom();
        for (let i = 0; i < 3; i += 1) await upload(ada, roomId, bytes);
      }
      {
        await using _next = await startOn(place);
        await eventually(20_000, 'the rest is swept', async () => (await namesStored(place)).length === 1);
      }
      expect(await check(place)).toEqual(['3 files, 1 contents: 0 broken; 0 orphans']);
    },
  );
});

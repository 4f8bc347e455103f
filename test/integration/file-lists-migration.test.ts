import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrations } from '../../migrations/index.js';
import { readConfig } from '../../src/config/env.js';
import { connectPostgres } from '../../src/db/dialect.js';
import { createMigrator, migrateToLatest } from '../../src/db/migrator.js';
import { openDatabase } from '../../src/db/open.js';
import { FileLists } from '../../src/files/file-lists.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, type Place } from '../support/app.js';
import { word } from '../support/client.js';
import { createDatabase, isMissing, services } from '../support/services.js';
import { withClient } from '../support/services/databases.js';

const STEP = '0009_file_lists';
const names = Object.keys(migrations);
const STEP_BEFORE = names[names.indexOf(STEP) - 1]!;

describe.each(backends)('The step to lists with indexes on %s', (backend) => {
  let place: Place;

  beforeAll(async () => {
    place = await makePlace(backend);
  });
  afterAll(() => place[Symbol.asyncDispose]());

  test('finds the files that are there already, and can be taken back', async () => {
    const { db, close } = await openDatabase(readConfig(environmentOf(place)), createLogger('silent'));
    const migrator = createMigrator(db);
    const id = (n: number): string => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`;
    expect((await migrator.migrateTo(STEP_BEFORE)).error).toBeUndefined();
    await db
      .insertInto('users')
      .values({ id: id(1), handle: 'ada', name: 'Ada' })
      .execute();
    await db
      .insertInto('rooms')
      .values({ id: id(1), slug: 'room', name: 'Room', visibility: 'PUBLIC', tag: 't', last_tag: 't' })
      .execute();
    await db
      .insertInto('memberships')
      .values({ room_id: id(1), user_id: id(1), role: 'OWNER', joined_at: new Date(), joined_seq: 1 })
      .execute();
    for (const [n, name] of ['report.txt', 'a.txt', 'gone report.txt', 'z report.txt'].entries()) {
      const isDeleted = name.startsWith('gone');
      const blob = { id: id(n), storage_key: name, sha256: name, size: 10 - n };
      await db.insertInto('blobs').values(blob).execute();
      await db
        .insertInto('files')
        .values({
          id: id(n),
          room_id: id(1),
          seq: 2 + n,
          uploader_id: id(1),
          name,
          name_key: name,
          mime_type: 'text/plain',
          size: 10 - n,
          sha256: '',
          blob_id: isDeleted ? null : blob.id,
          created_at: new Date(1000 * n),
          deleted_at: isDeleted ? new Date() : null,
        })
        .execute();
    }

    // Down and up once more: what is made anew finds them too.
    for (let i = 0; i < 2; i++) {
      await migrateToLatest(db);
      const lists = new FileLists(db);
      const all = { count: 100, fromEnd: false };
      const viewer = { userId: id(1), roomIds: undefined };
      for (const filter of [{}, { mimeType: 'text/plain' }, { mimeType: 'text/*' }, { uploaderId: id(1) }]) {
        for (const [field, expected] of [
          ['CREATED_AT', [0, 1, 3]],
          ['NAME', [1, 0, 3]],
          ['SIZE', [3, 1, 0]],
        ] as const) {
          const order = { field, direction: 'ASC' } as const;
          const ids = expected.map(id);
          const of = async (page: Promise<{ rows: { id: string }[] }>): Promise<string[]> =>
            (await page).rows.map((row) => row.id);
          expect(await of(lists.page(id(1), filter, order, all))).toEqual(ids);
          expect(await of(lists.viewerPage(viewer, filter, order, all))).toEqual(ids);
        }
      }
      expect(await lists.count(id(1), { nameContains: 'report' })).toBe(2);
      expect((await migrator.migrateTo(STEP_BEFORE)).error).toBeUndefined();
    }
    await close();
  }, 60_000);
});

test.skipIf(isMissing(services.postgres))(
  'A user who may not create the extensions is told what an administrator has to do, and starts once it is done',
  async () => {
    await using database = await createDatabase();
    const role = `parley_test_${word()}`;
    await withClient(database.url, (client) =>
      client.query(`create role ${role} login; grant all on schema public to ${role}`),
    );
    const url = new URL(database.url);
    url.username = role;
    const db = connectPostgres({ databasePoolSize: 2 }, url.href, createLogger('silent'));
    try {
      const refusal = await migrateToLatest(db).then(
        () => undefined,
        (error: unknown) => error as Error & { cause: Error & { code: unknown } },
      );
      expect(refusal?.message).toBe(`migration ${STEP} failed`);
      // By the code of Postgres' own error the program tells it in one line.
      expect(refusal?.cause).toMatchObject({
        code: '42501',
        message: expect.stringMatching(/^[^\n]+ extension pg_trgm [^\n]+"create extension pg_trgm" in it$/),
      });
      await withClient(database.url, (client) =>
        client.query('create extension pg_trgm; create extension btree_gin'),
      );
      await migrateToLatest(db);
    } finally {
      await db.destroy();
      await withClient(database.url, (client) => client.query(`drop owned by ${role}; drop role ${role}`));
    }
  },
  60_000,
);

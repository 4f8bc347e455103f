import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/env.js';
import { newId } from '../../src/db/ids.js';
import { createMigrator, requireSuccess } from '../../src/db/migrator.js';
import { openDatabase, type OpenDatabase } from '../../src/db/open.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, type Place } from '../support/app.js';

const BEFORE = '0006_jobs';
const BLOBS = '0007_blobs';

describe.each(backends)('Files from before there were blobs, on %s', (backend) => {
  let place: Place;
  let database: OpenDatabase;
  let [user, room] = ['', ''];

  beforeEach(async () => {
    place = await makePlace(backend);
    database = await openDatabase(readConfig(environmentOf(place)), createLogger('silent'));
    await migrateTo(BEFORE);
    [user, room] = [newId(), newId()];
    await sql`insert into users (id, handle, name) values (${user}, 'ada', 'Ada')`.execute(database.db);
    await sql`
      insert into rooms (id, slug, name, visibility, tag, last_tag)
      values (${room}, 'room', 'Room', 'PUBLIC', 't', 't')`.execute(database.db);
  });
  afterEach(async () => {
    await database.close();
    await place[Symbol.asyncDispose]();
  });

  async function migrateTo(name: string): Promise<void> {
    requireSuccess(await createMigrator(database.db).migrateTo(name));
  }

  async function addFile(seq: number, key: string, sha256: string, deleted = false): Promise<string> {
    const id = newId();
    await sql`
      insert into files (id, room_id, seq, uploader_id, name, name_key, mime_type, size, sha256, storage_key, created_at, deleted_at)
      values (${id}, ${room}, ${seq}, ${user}, 'a', 'a', 'text/plain', 10, ${sha256}, ${key}, now(),
        ${deleted ? new Date() : null})`.execute(database.db);
    return id;
  }

  test('each keep their bytes, those of one content too, and go back', async () => {
    await addFile(1, 'k1', 'same');
    await addFile(2, 'k2', 'other');
    await addFile(3, 'k3', 'same');
    const gone = await addFile(4, 'k4', 'same', true);
    await migrateTo(BLOBS);
    const { db } = database;
    expect(await db.selectFrom('blobs').selectAll().orderBy('id').execute()).toEqual([
      { id: 'k1', storage_key: 'k1', sha256: 'same', size: 10, is_shared: true },
      { id: 'k2', storage_key: 'k2', sha256: 'other', size: 10, is_shared: true },
      { id: 'k3', storage_key: 'k3', sha256: 'same', size: 10, is_shared: false },
    ]);
    const files = await db.selectFrom('files').select('blob_id').orderBy('seq').execute();
    expect(files.map((file) => file.blob_id)).toEqual(['k1', 'k2', 'k3', null]);

    // Its bytes were replaced since.
    await db.updateTable('blobs').set({ storage_key: 'k5' }).where('id', '=', 'k1').execute();
    await migrateTo(BEFORE);
    const { rows } = await sql<{ storage_key: string }>`select storage_key from files order by seq`.execute(
      db,
    );
    expect(rows.map((row) => row.storage_key)).toEqual(['k5', 'k2', 'k3', gone.replaceAll('-', '')]);
    await migrateTo(BLOBS);
  });

  test('do not go back once they share their bytes', async () => {
    await addFile(1, 'k1', 'same');
    await addFile(2, 'k2', 'other');
    await migrateTo(BLOBS);
    await database.db.updateTable('files').set({ blob_id: 'k1' }).execute();
    await expect(migrateTo(BEFORE)).rejects.toThrow('migration 0007_blobs failed');
    expect(await database.db.selectFrom('blobs').select('id').orderBy('id').execute()).toHaveLength(2);
  });
});

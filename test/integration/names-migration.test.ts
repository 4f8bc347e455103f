import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrations } from '../../migrations/index.js';
import { accountByEmail, insertUser } from '../../src/accounts/accounts.queries.js';
import { signInKey } from '../../src/accounts/email.js';
import { readConfig } from '../../src/config/env.js';
import { createMigrator, requireSuccess } from '../../src/db/migrator.js';
import { Housekeeping } from '../../src/db/housekeeping.js';
import { newId } from '../../src/db/ids.js';
import { openDatabase, type OpenDatabase } from '../../src/db/open.js';
import { nameKey } from '../../src/names.js';
import { createLogger } from '../../src/observability/logger.js';
import { roomsPage } from '../../src/rooms/rooms.queries.js';
import { backends, environmentOf, makePlace, type Place } from '../support/app.js';
import { eventually } from '../support/deadline.js';

const STEP = '0022_room_keys';
const names = Object.keys(migrations);
const STEP_BEFORE = names[names.indexOf('0020_folded_names') - 1]!;
/** More than are read at once. */
const MANY = 2500;

describe.each(backends)('Names and addresses from before they were folded, on %s', (backend) => {
  let place: Place;
  let database: OpenDatabase;
  const [room, greek] = [newId(), newId()];

  beforeAll(async () => {
    place = await makePlace(backend);
    database = await openDatabase(readConfig(environmentOf(place)), createLogger('silent'));
    await migrateTo(STEP_BEFORE);
  });
  afterAll(async () => {
    await database.close();
    await place[Symbol.asyncDispose]();
  });

  async function migrateTo(name: string): Promise<void> {
    requireSuccess(await createMigrator(database.db).migrateTo(name));
  }

  async function addUser(handle: string, email: string): Promise<string> {
    const id = newId();
    const user = { id, email, handle, name: 'e\u0301', password_hash: null, issuer: null, subject: null };
    await insertUser(database.db, user);
    return id;
  }

  const found = async (email: string): Promise<string | undefined> =>
    (await accountByEmail(database.db, signInKey(email), ''))?.id;
  const keys = async (): Promise<string[]> =>
    (
      await database.db
        .selectFrom('files')
        .select('name_key')
        .where('seq', '>', MANY)
        .orderBy('seq')
        .execute()
    ).map((file) => file.name_key);

  test('are found as new ones are, and the step can be taken back', async () => {
    const { db } = database;
    const ada = await addUser('ada', 'ada@example.com');
    const wide = await addUser('juergen', 'jürgen@münchen.example');
    const twin = await addUser('twin', 'jürgen@xn--strae-oqa.example');
    await addUser('late-twin', 'jürgen@straße.example');
    await addUser('strange', 'kein ü@');
    await sql`
      insert into rooms (id, slug, name, topic, visibility, tag, last_tag)
      values (${room}, 'room', 'Room', 'x', 'PUBLIC', 't', 't'),
        (${greek}, 'greek', ${'Cafe\u0301 ΟΔΟΣ'}, ${'e\u0301'}, 'PUBLIC', 't', 't')`.execute(db);
    // As the program before had them.
    await sql`
      insert into files (id, room_id, seq, uploader_id, name, name_key, mime_type, size, sha256, created_at, deleted_at)
      select gen_random_uuid(), ${room}, n, ${ada}, 'ä' || n, 'ä' || n, 'text/plain', 1, '', now(), now()
      from generate_series(1, ${MANY}) n
      union all values
        (gen_random_uuid(), ${room}::uuid, ${MANY + 1}::bigint, ${ada}::uuid, 'Straße', 'straße', 'text/plain', 1, '', now(), now()),
        (gen_random_uuid(), ${room}::uuid, ${MANY + 2}::bigint, ${ada}::uuid, 'ΟΔΟΣ', 'οδος', 'text/plain', 1, '', now(), now()),
        (gen_random_uuid(), ${room}::uuid, ${MANY + 3}::bigint, ${ada}::uuid, 'PLAIN', 'plain', 'text/plain', 1, '', now(), now())`.execute(
      db,
    );

    await migrateTo(STEP);
    expect(await keys()).toEqual(['strasse', 'οδοσ', 'plain']);
    const { rows } = await sql<{ name: string; name_key: string }>`select name, name_key from files`.execute(
      db,
    );
    expect(rows).toHaveLength(MANY + 3);
    expect(rows.filter((file) => file.name_key !== nameKey(file.name))).toEqual([]);

    expect(await found('ADA@example.com')).toBe(ada);
    expect(await found('jürgen@MÜNCHEN.example')).toBe(wide);
    expect(await found('jürgen@xn--mnchen-3ya.example')).toBe(wide);
    expect(await found('jürgen@straße.example')).toBe(twin);
    const users = await db.selectFrom('users').select(['name', 'email']).orderBy('handle').execute();
    expect(users.map(({ email }) => email)).toContain('jürgen@straße.example');
    expect(users.map(({ email }) => email)).toContain('kein ü@');
    expect(new Set(users.map(({ name }) => name))).toEqual(new Set(['é']));

    const rooms = async (nameContains: string): Promise<string[]> => {
      const page = await roomsPage(db, ada, { nameContains }, { count: 10, fromEnd: false });
      return page.rows.map(({ slug }) => slug);
    };
    // Before a server has come by, and behind it.
    expect(await rooms('ROOM')).toEqual(['room']);
    const clock = { mark: () => Promise.resolve(), isTrusted: () => Promise.resolve(false) };
    const housekeeping = new Housekeeping(db, clock as never, 1000, createLogger('silent'));
    await eventually(20_000, 'all rooms have their keys', async () => {
      const without = await db.selectFrom('rooms').select('id').where('name_key', 'is', null).execute();
      return without.length === 0;
    });
    await housekeeping.stop();
    expect(await rooms('ROOM')).toEqual(['room']);
    expect(await rooms('café οδος')).toEqual(['greek']);
    expect(await db.selectFrom('rooms').select(['name', 'topic']).where('id', '=', greek).execute()).toEqual([
      { name: 'Café ΟΔΟΣ', topic: 'é' },
    ]);

    await migrateTo(STEP_BEFORE);
    expect(await keys()).toEqual(['straße', 'οδος', 'plain']);
    await migrateTo(STEP);
    expect(await keys()).toEqual(['strasse', 'οδοσ', 'plain']);
  });
});

import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { checkServer } from '../../src/db/server-check.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { signUp } from '../support/client.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { isMissing, locationOf, services } from '../support/services.js';
import { withClient } from '../support/services/databases.js';

const ODD: Readonly<Record<string, string>> = {
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kathmandu',
  standard_conforming_strings: 'off',
  array_nulls: 'off',
  transform_null_equals: 'on',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  client_encoding: 'LATIN1',
};

describe.skipIf(isMissing(services.postgres))('A Postgres', () => {
  let place: Place;
  afterEach(() => place[Symbol.asyncDispose]());

  /** Runs statements on the database of the place, and puts its name in for `db`. */
  const admin = (text: (name: string) => string): Promise<unknown> => {
    const name = new URL(place.env['DATABASE_URL']!).pathname.slice(1);
    return withClient(locationOf(services.postgres), (client) => client.query(text(name)));
  };

  test('that is set up otherwise in every way serves as any other', async () => {
    place = await makePlace('postgres');
    for (const [setting, value] of Object.entries(ODD))
      await admin(
        (name) => `alter database ${name} set ${setting} = ${setting === 'DateStyle' ? value : `'${value}'`}`,
      );
    await using app = await startOn(place);
    const user = await signUp(app.url);
    const roomId = await user.createRoom();
    const before = Date.now();
    const key = { idempotencyKey: 'once' };
    const posted = await Promise.all([
      user.post(roomId, "a \\ and a quote ' and Ελλάδα 🦜", key),
      user.post(roomId, 'NULL'),
      user.post(roomId, 'three'),
    ]);
    expect((await user.post(roomId, "a \\ and a quote ' and Ελλάδα 🦜", key)).id).toBe(posted[0].id);
    const { data } = await user.upload(roomId, 'NULL', 'some text');
    expect(data['uploadFile'].file.name).toBe('NULL');

    const { room } = await user.run(
      `query ($id: ID!) { room(id: $id) { createdAt messages(first: 10) { edges { node { body createdAt } } } } }`,
      { id: roomId },
    );
    const nodes = room.messages.edges.map(({ node }: any) => node);
    expect(nodes.map(({ body }: any) => body).sort()).toEqual(
      ["a \\ and a quote ' and Ελλάδα 🦜", 'NULL', 'three'].sort(),
    );
    for (const time of [room.createdAt, ...nodes.map(({ createdAt }: any) => createdAt)])
      expect(Math.abs(Date.parse(time as string) - before)).toBeLessThan(60_000);
    const client = live(user);
    const feed = subscribe(client, ROOM_EVENTS, { roomId, last: 5 });
    const events = await feed.take(6, 'roomEvents');
    expect(events.map(({ __typename }) => __typename as string)).toEqual([
      'MemberJoined',
      'MessageAdded',
      'MessageAdded',
      'MessageAdded',
      'FileAdded',
      'Checkpoint',
    ]);
    await client.dispose();
    const { refreshSession } = await user.run(
      `mutation ($t: String!) { refreshSession(input: { refreshToken: $t }) { refreshTokenExpiresAt } }`,
      { t: user.refreshToken },
    );
    expect(
      Math.abs(Date.parse(refreshSession.refreshTokenExpiresAt) - before - 90 * 86_400_000),
    ).toBeLessThan(60_000);
  });

  test('may keep its tables in a schema of its own', async () => {
    place = await makePlace('postgres');
    await withClient(place.env['DATABASE_URL']!, (client) => client.query('create schema chat'));
    await admin((name) => `alter database ${name} set search_path = chat, public`);
    await using app = await startOn(place);
    await (await signUp(app.url)).createRoom();
  });

  test('whose search_path names no schema is refused', async () => {
    place = await makePlace('postgres');
    await admin((name) => `alter database ${name} set search_path = nowhere`);
    await expect(startOn(place)).rejects.toThrow(/^DATABASE_URL: no schema of search_path \(nowhere\)/);
  });

  test('that is read-only is refused', async () => {
    place = await makePlace('postgres');
    await admin((name) => `alter database ${name} set default_transaction_read_only = on`);
    await expect(startOn(place)).rejects.toThrow(/^DATABASE_URL: the database \w+ is read-only: /);
  });

  test.each(['LATIN1', 'SQL_ASCII', 'WIN1252'])('that stores text in %s is refused', async (encoding) => {
    place = await makePlace('postgres');
    const name = `${new URL(place.env['DATABASE_URL']!).pathname.slice(1)}_${encoding.toLowerCase()}`;
    await admin(
      () =>
        `create database ${name} encoding '${encoding}' template template0 locale_provider libc lc_collate 'C' lc_ctype 'C'`,
    );
    const url = new URL(place.env['DATABASE_URL']!);
    url.pathname = `/${name}`;
    try {
      const other = { ...place, env: { ...place.env, DATABASE_URL: url.href } };
      await expect(startOn(other)).rejects.toThrow(
        new RegExp(`^DATABASE_URL: the database ${name} stores text in ${encoding}; it takes UTF8: `),
      );
    } finally {
      await admin(() => `drop database ${name} with (force)`);
    }
  });

  test('behind a pooler is refused where what cannot be set there is set otherwise', async () => {
    place = await makePlace('postgres');
    const check = async (): Promise<void> => {
      const client = new pg.Client(place.env['DATABASE_URL']);
      await client.connect();
      try {
        // A pooler makes one up.
        await checkServer(Object.assign(client, { processID: 1 }));
      } finally {
        await client.end();
      }
    };
    await admin((name) => `alter database ${name} set DateStyle = SQL, DMY`);
    await check();
    await admin((name) => `alter database ${name} set array_nulls = off`);
    await expect(check()).rejects.toThrow(
      /^DATABASE_URL: array_nulls is off, .*it takes on: `alter database/,
    );
    await using _app = await startOn(place);
  });
});

import { CompiledQuery, sql, type RawBuilder } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { readConfig } from '../../src/config/env.js';
import { trimLogs } from '../../src/db/log-trimming.js';
import { openDatabase } from '../../src/db/open.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe, type Feed } from '../support/live.js';
import { touched, type Plan } from '../support/plans.js';
import { isMissing, services } from '../support/services.js';
import { statementsOf } from '../support/statements.js';

/** What goes with events that are made older. */
const aged = (days: number): RawBuilder<unknown>[] => [
  sql`update rooms set trim_at = trim_at - make_interval(days => ${days})`,
];

describe.each(backends)('What a server on %s keeps of the past', (backend) => {
  let place: Place;
  let app: App;
  let user: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace(backend);
    app = await startOn(place);
    user = await signUp(app.url);
    roomId = await user.createRoom();
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  /** Does something to the database between a stop of the server and its next start. Answers the rows of the last statement. */
  async function whileStopped<Row>(...statements: RawBuilder<Row>[]): Promise<readonly Row[]> {
    await app[Symbol.asyncDispose]();
    const database = await openDatabase(readConfig(environmentOf(place)), createLogger('silent'));
    let rows: readonly Row[] = [];
    for (const statement of statements) ({ rows } = await statement.execute(database.db));
    await database.close();
    app = await startOn(place);
    user = new Client(app.url, user.token, user.userId, user.refreshToken, user.handle);
    return rows;
  }

  /** The cursors that are sent after `after`, up to the checkpoint; or how the subscription ended. */
  async function follow(variables: Record<string, unknown>): Promise<string[] | Feed> {
    const client = live(user);
    const feed = subscribe(client, ROOM_EVENTS, { roomId, ...variables });
    try {
      await eventually(
        10_000,
        'the end of the replay',
        () => feed.isOver || feed.results.at(-1)?.roomEvents.__typename === 'Checkpoint',
      );
      return feed.isOver
        ? feed
        : feed.results.slice(0, -1).map(({ roomEvents }) => roomEvents.cursor as string);
    } finally {
      await client.dispose();
    }
  }

  test('is the log for as long as its retention, and every message', async () => {
    const cursors: string[] = [];
    for (let i = 0; i < 8; i++) cursors.push((await user.post(roomId, `message ${i}`)).eventCursor);
    // The first event is the room's maker, so message i is event i + 2. The first five messages are older than 30 days.
    await whileStopped(sql`update room_events set at = at - interval '31 days' where seq <= 6`, ...aged(31));
    const head = cursors.at(-1);

    await eventually(10_000, 'the sweep', async () => !Array.isArray(await follow({ after: cursors[3] })));
    for (const after of cursors.slice(0, 4)) {
      const feed = (await follow({ after })) as Feed;
      expect(feed.error).toMatchObject([{ extensions: { code: 'CURSOR_EXPIRED', eventCursor: head } }]);
    }
    // All that came after the last of the old ones is there, so its cursor is good.
    expect(await follow({ after: cursors[4] })).toEqual(cursors.slice(5));
    expect(await follow({ last: 100 })).toEqual(cursors.slice(4));
    expect(await follow({ after: head })).toEqual([]);

    const { room } = await user.run(
      'query ($id: ID!) { room(id: $id) { messages(first: 100) { totalCount edges { node { body } } } } }',
      { id: roomId },
    );
    expect(room.messages.totalCount).toBe(8);
    expect(room.messages.edges).toHaveLength(8);
  });

  test('is the last event of a room that is quiet for longer, so that whoever has seen it misses nothing', async () => {
    const { eventCursor: last } = await user.post(roomId, 'the last for long');
    await whileStopped(sql`update room_events set at = at - interval '90 days'`, ...aged(90));
    await eventually(10_000, 'the sweep', async () => {
      const kept = await follow({ last: 100 });
      return Array.isArray(kept) && kept.length === 1;
    });
    const { eventCursor: news } = await user.post(roomId, 'good morning');
    expect(await follow({ after: last })).toEqual([news]);
  });

  test('is the newest refresh token that was spent, for as long as the sign-in, and others for a week', async () => {
    const REFRESH =
      'mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { refreshToken } }';
    const refresh = async (token: string): Promise<string> =>
      (await user.run(REFRESH, { token }))['refreshSession'].refreshToken;
    const second = await refresh(user.refreshToken);
    const third = await refresh(second);
    await whileStopped(sql`update refresh_tokens set used_at = used_at - interval '8 days'`);
    // To ask with the first token before it is forgotten would end the sign-in.
    await eventually(20_000, 'the sweep', async () => {
      const spent = await whileStopped(sql`select from refresh_tokens where used_at is not null`);
      return spent.length === 1;
    });
    expect(await user.refusal(REFRESH, { token: user.refreshToken })).toBe('UNAUTHENTICATED');
    // The first is merely unknown by now, or this one would have ended with it.
    expect(await refresh(second)).toBe(third);
  });

  test('is the row of a deleted file for as long as its log may name it, and what a message showed of others', async () => {
    const upload = async (name: string): Promise<string> =>
      (await user.upload(roomId, name, `the text of ${name}`)).data['uploadFile'].file.id as string;
    const [kept, young, old] = [await upload('kept.txt'), await upload('young.txt'), await upload('old.txt')];
    const { id: messageId } = await user.post(roomId, 'three files', { fileIds: [kept, young, old] });
    for (const fileId of [young, old])
      await user.run('mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }', {
        id: fileId,
      });
    await whileStopped(
      sql`update files set deleted_at = deleted_at - interval '29 days' where name = 'young.txt'`,
      sql`update files set deleted_at = deleted_at - interval '31 days' where name = 'old.txt'`,
    );
    // A start begins a sweep, and a stop may cut it short.
    const left = await eventually(20_000, 'the sweep', async () => {
      const rows = await whileStopped(sql<{ name: string }>`select name from files order by name`);
      return rows.length < 3 ? rows.map(({ name }) => name) : undefined;
    });
    expect(left).toEqual(['kept.txt', 'young.txt']);
    const { node } = await user.run(
      'query ($id: ID!) { node(id: $id) { ... on Message { files { name } } } }',
      { id: messageId },
    );
    expect(node.files).toEqual([{ name: 'kept.txt' }]);
  });

  test('is an idempotency key for 48 hours', async () => {
    const [young, old] = [
      await user.post(roomId, 'said once', { idempotencyKey: 'young' }),
      await user.post(roomId, 'said twice', { idempotencyKey: 'old' }),
    ];
    await whileStopped(
      sql`update idempotency_keys set created_at = created_at - interval '47 hours' where key = 'young'`,
      sql`update idempotency_keys set created_at = created_at - interval '49 hours' where key = 'old'`,
    );
    await eventually(10_000, 'the sweep', async () => {
      const again = await user.post(roomId, 'said twice', { idempotencyKey: 'old' });
      return again.id !== old.id;
    });
    expect(await user.post(roomId, 'said once', { idempotencyKey: 'young' })).toEqual(young);
  });
});

describe.skipIf(isMissing(services.postgres))('Rooms in which nothing is to be deleted', () => {
  test('are not looked at, however many they are', async () => {
    await using place = await makePlace('postgres');
    const { db, close } = await openDatabase(readConfig(environmentOf(place)), createLogger('silent'));
    const seed = (rooms: number, events: number): Promise<unknown> =>
      sql`
        with made as (
          insert into rooms (id, slug, name, visibility, tag, last_tag, last_seq)
          select gen_random_uuid(), gen_random_uuid()::text, 'x', 'PUBLIC', 't', 't', ${events}
          from generate_series(1, ${rooms})
          returning id
        )
        insert into room_events (room_id, seq, tag, kind, at)
        select id, seq, 't', 'MESSAGE_ADDED', now() - interval '60 days' + seq * interval '1 minute'
        from made, generate_series(1, ${events}) seq`.execute(db);
    const kept = async (): Promise<number> => {
      const { rows } = await sql<{ n: number }>`select count(*)::int as n from room_events`.execute(db);
      return rows[0]!.n;
    };
    const trim = () => trimLogs(db, sql<Date>`(now() - interval '30 days')`, () => Promise.resolve(true));
    const IDLE = 3000;
    await seed(IDLE, 1);
    await seed(1, 2500);
    await trim();
    expect(await kept()).toBe(IDLE + 1);
    await sql`analyze rooms, room_events`.execute(db);

    // Whose last event is kept are left alone, and one in which there is something to delete is found among them.
    const rowsRead = async (): Promise<number> => {
      let sum = 0;
      for (const { text, values } of await statementsOf(trim)) {
        await db.transaction().execute(async (trx) => {
          const plan = CompiledQuery.raw(`explain (analyze, format json) ${text}`, [...values]);
          const { rows } = await trx.executeQuery<{ 'QUERY PLAN': [{ Plan: Plan }] }>(plan);
          sum += touched(rows[0]!['QUERY PLAN'][0].Plan);
        });
      }
      return sum;
    };
    expect(await rowsRead()).toBe(0);
    await seed(3, 10);
    expect(await rowsRead()).toBeLessThan(100);
    expect(await kept()).toBe(IDLE + 1 + 3);
    expect(await rowsRead()).toBe(0);

    // A room that was quiet is due again once what follows is old.
    await sql`update rooms set last_seq = last_seq + 1, trim_at = now() - interval '31 days' where slug in (
      select slug from rooms limit 1)`.execute(db);
    await sql`insert into room_events (room_id, seq, tag, kind, at)
      select id, last_seq, 't', 'MESSAGE_ADDED', trim_at from rooms where trim_at is not null`.execute(db);
    await trim();
    expect(await kept()).toBe(IDLE + 1 + 3);
    await close();
  });
});

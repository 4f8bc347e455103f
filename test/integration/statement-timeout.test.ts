import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import type { Database } from '../../src/db/database.js';
import { openPostgres } from '../../src/db/dialect.js';
import { isStatementTimeout } from '../../src/db/outage.js';
import { createLogger } from '../../src/observability/logger.js';
import { startParley, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { within } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { createDatabase, isMissing, services, type TestDatabase } from '../support/services.js';

const sleep = (db: Database, seconds: number): Promise<unknown> =>
  sql`select pg_sleep(${seconds})`.execute(db);

describe.skipIf(isMissing(services.postgres))('A connection to Postgres', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database[Symbol.asyncDispose]());

  const open = (databasePoolSize: number, statementTimeoutMs: number) =>
    openPostgres({ databasePoolSize, statementTimeoutMs }, database.url, createLogger('silent'));

  test('ends a statement that takes too long for a client, and is good for the next one', async () => {
    const { db } = open(2, 200);
    for (let i = 0; i < 3; i++) {
      const error: unknown = await within(
        10_000,
        'the end',
        sleep(db, 60).catch((reason: unknown) => reason),
      );
      expect(isStatementTimeout(error)).toBe(true);
      await sleep(db, 0);
    }
    await db.destroy();
  });

  test('lets what no client waits for take its time, by connections of its own, and no client', async () => {
    const { db, background } = open(8, 200);
    for (let i = 0; i < 2; i++) {
      await sleep(background, 0.5);
      await background.transaction().execute((trx) => sleep(trx, 0.5));
      await expect(
        background.transaction().execute(() => Promise.reject(new Error('undone'))),
      ).rejects.toThrow('undone');
      await expect(sql`select nothing`.execute(background)).rejects.toMatchObject({ code: '42703' });
      const ended = [1, 2].map(() => sleep(db, 60).catch((reason: unknown) => reason));
      for (const error of await within(10_000, 'the end', Promise.all(ended)))
        expect(isStatementTimeout(error)).toBe(true);
    }
    const { rows } = await sql<{ count: number }>`with t as (select 1) select count(*) from t`.execute(
      background,
    );
    expect(rows).toEqual([{ count: 1 }]);
    await db.destroy();
  });

  test('waits as long as it takes where no limit is set', async () => {
    const { db } = open(2, 0);
    const { rows } = await sql`show statement_timeout`.execute(db);
    expect(rows).toEqual([{ statement_timeout: '0' }]);
    await db.destroy();
  });
});

describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))(
  'A statement that takes too long',
  () => {
    let app: App & { readonly place: Place };
    let user: Client;
    let roomId: string;
    let other: pg.Client;

    beforeAll(async () => {
      app = await startParley('postgres', { DATABASE_STATEMENT_TIMEOUT: '1s' });
      user = await signUp(app.url);
      roomId = await user.createRoom();
      other = new pg.Client({ connectionString: app.place.env['DATABASE_URL'] });
      await other.connect();
    });
    afterAll(async () => {
      await other.end();
      await app[Symbol.asyncDispose]();
    });

    /** Runs `work` while nothing is answered that looks into `table`. */
    async function whileLocked<T>(table: string, work: () => Promise<T>): Promise<T> {
      await other.query(`begin; lock table ${table} in access exclusive mode`);
      try {
        return await within(15_000, 'the answer', work());
      } finally {
        await other.query('rollback');
      }
    }

    const MESSAGES =
      'query ($id: ID!) { viewer { id } room(id: $id) { id messages { totalCount edges { node { body } } } } }';

    test.each([
      ['a page, by a connection that others share', 'messages', MESSAGES, 'messages'],
      [
        'a search',
        'files',
        'query ($id: ID!) { viewer { id } room(id: $id) { id files(filter: { nameContains: "a" }) { totalCount } } }',
        'files',
      ],
    ])('is told of as such: %s', async (_what, table, query, field) => {
      const { data, errors } = await whileLocked(table, () => user.ask(query, { id: roomId }));
      expect(data).toMatchObject({ viewer: { id: expect.any(String) }, room: { id: roomId, [field]: null } });
      expect(errors).toMatchObject([
        {
          path: ['room', field],
          message: expect.stringContaining('ask for less'),
          extensions: { code: 'UNAVAILABLE' },
        },
      ]);
      expect((await user.ask(query, { id: roomId })).errors).toEqual([]);
    });

    test('has written nothing, and can be sent again', async () => {
      const post = 'mutation ($input: PostMessageInput!) { postMessage(input: $input) { message { body } } }';
      const input = { roomId, body: 'once', idempotencyKey: 'a key' };
      const codes = await whileLocked('messages', () =>
        Promise.all(
          [1, 2, 3].map((n) => user.refusal(post, { input: { ...input, idempotencyKey: `key ${n}` } })),
        ),
      );
      expect(codes).toEqual(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE']);
      await user.run(post, { input });
      const { room } = await user.run(MESSAGES, { id: roomId });
      expect(room.messages).toMatchObject({ totalCount: 1, edges: [{ node: { body: 'once' } }] });
    });

    test('ends a subscription whose event it was for, which goes on from there', async () => {
      const client = live(user);
      const query = ROOM_EVENTS.replace(
        'MessageEdited { message { id body',
        'MessageEdited { message { id body files { name }',
      );
      const { id } = await user.post(roomId, 'to be changed');
      const feed = subscribe(client, query, { roomId });
      const [checkpoint] = await feed.take(1, 'roomEvents');
      await whileLocked('message_files', async () => {
        await user.run(
          'mutation ($id: ID!) { editMessage(input: { messageId: $id, body: "changed" }) { eventCursor } }',
          { id },
        );
        await feed.end();
      });
      expect(feed.codes).toEqual(['UNAVAILABLE']);
      const again = subscribe(client, query, { roomId, after: checkpoint.cursor });
      expect((await again.take(1, 'roomEvents'))[0]).toMatchObject({
        message: { id, body: 'changed', files: [] },
      });
      await client.dispose();
    });
  },
);

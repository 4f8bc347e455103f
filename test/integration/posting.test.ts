import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/env.js';
import type { Database } from '../../src/db/database.js';
import { newId } from '../../src/db/ids.js';
import { migrateToLatest } from '../../src/db/migrator.js';
import { openDatabase, type OpenDatabase } from '../../src/db/open.js';
import { ParleyError } from '../../src/errors.js';
import { MemoryBus } from '../../src/events/bus-memory.js';
import { roomTopic } from '../../src/events/bus.js';
import { decodeEventCursor } from '../../src/events/event-cursor.js';
import { RoomFeeds } from '../../src/events/room-feeds.js';
import { MessagesService } from '../../src/messages/messages.service.js';
import { createLogger } from '../../src/observability/logger.js';
import { RoomsService } from '../../src/rooms/rooms.service.js';
import { backends, environmentOf, makePlace, type Place } from '../support/app.js';
import { word } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { statementsOf } from '../support/statements.js';

interface Ask {
  readonly by: string;
  readonly to?: string;
  readonly body?: string;
  readonly replyToId?: string | undefined;
  readonly fileIds?: readonly string[];
  readonly key?: string | undefined;
}

/** Below the API, where a test knows which posts go together: the first alone, all that are asked for in the same turn after it. */
describe.each(backends)('Posts to one room on %s', (backend) => {
  let place: Place;
  let database: OpenDatabase;
  let db: Database;
  let feeds: RoomFeeds;
  let rooms: RoomsService;
  let messages: MessagesService;
  const bus = new MemoryBus();
  let owner: string;
  let member: string;
  let stranger: string;
  let roomId: string;
  let woken: number[];
  let quiet: () => Promise<void>;

  beforeAll(async () => {
    place = await makePlace(backend);
    const logger = createLogger('silent');
    database = await openDatabase(readConfig(environmentOf(place)), logger);
    ({ db } = database);
    await migrateToLatest(db);
    feeds = new RoomFeeds({ db, bus, logger });
    rooms = new RoomsService({ db, bus, feeds, wakeJobs: () => undefined });
    messages = new MessagesService({ db, bus, feeds });
    [owner, member, stranger] = [await makeUser(), await makeUser(), await makeUser()];
  });
  afterAll(async () => {
    feeds.close();
    await database.close();
    await place[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    roomId = await makeRoom();
    woken = [];
    const listening = await bus.subscribe(roomTopic(roomId), (signal) => {
      woken.push((signal as { seq: number }).seq);
    });
    quiet = () => listening.unsubscribe();
    await rooms.join(member, roomId);
  });
  afterEach(() => quiet());

  async function makeUser(): Promise<string> {
    const id = newId();
    await db.insertInto('users').values({ id, handle: word(), name: 'Someone' }).execute();
    return id;
  }

  async function makeRoom(visibility: 'PUBLIC' | 'PRIVATE' = 'PUBLIC'): Promise<string> {
    const made = await rooms.create(owner, { slug: word(), name: 'A room', topic: null, visibility });
    return made.roomId;
  }

  async function makeFile(room = roomId): Promise<string> {
    const id = newId();
    await db.insertInto('blobs').values({ id, storage_key: id, sha256: id, size: 1 }).execute();
    await db
      .insertInto('files')
      .values({
        id,
        room_id: room,
        // No file of a test has the seq of another.
        seq: 1_000_000 + Math.floor(Math.random() * 1e9),
        uploader_id: owner,
        name: 'a.txt',
        name_key: 'a.txt',
        mime_type: 'text/plain',
        size: 1,
        sha256: '',
        blob_id: id,
        created_at: new Date(),
      })
      .execute();
    return id;
  }

  const post = ({ by, to = roomId, body = 'text', replyToId, fileIds = [], key }: Ask, by_ = messages) =>
    by_.post(by, {
      roomId: to,
      body,
      replyToId: replyToId ?? null,
      fileIds,
      idempotencyKey: key ?? null,
    });

  type Outcome = string | { readonly messageId: string; readonly seq: number };

  /** A refusal by its code and field, or the message and its place. */
  const outcomeOf = async (posting: ReturnType<typeof post>): Promise<Outcome> => {
    try {
      const { messageId, eventCursor } = await posting;
      const cursor = decodeEventCursor(eventCursor);
      const { rows } = await sql`
        select from room_events where room_id = ${cursor?.roomId} and seq = ${cursor?.seq}
          and tag = ${cursor?.tag} and message_id = ${messageId} and kind = 'MESSAGE_ADDED'`.execute(db);
      expect(rows).toHaveLength(1);
      return { messageId, seq: cursor!.seq };
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      return [error.code, error.details.field].filter((part) => part !== undefined).join(' ');
    }
  };

  /** The outcomes of posts that go together. */
  async function together(...asks: Ask[]): Promise<Outcome[]> {
    const leader = post({ by: owner, body: 'leads' });
    const outcomes = asks.map((ask) => outcomeOf(post(ask)));
    await leader;
    return Promise.all(outcomes);
  }

  const wokenUpTo = (seq: number): Promise<true> =>
    eventually(5000, `the wake-up for ${seq}`, () => woken.includes(seq));
  const seqOf = (outcome: Outcome): number => (typeof outcome === 'string' ? NaN : outcome.seq);
  const idOf = (outcome: Outcome): string => (typeof outcome === 'string' ? outcome : outcome.messageId);

  /** The bodies in the room as the log tells them, once it is known that log, messages and counts agree. */
  async function log(room = roomId): Promise<string[]> {
    const { rows } = await sql<{ seq: number; kind: string; body: string | null; place: number | null }>`
      select e.seq, e.kind, m.body, m.seq as place from room_events e left join messages m on m.id = e.message_id
      where e.room_id = ${room} order by e.seq`.execute(db);
    expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, i) => i + 1));
    const posted = rows.filter(({ kind }) => kind === 'MESSAGE_ADDED');
    expect(posted.map(({ place }) => place)).toEqual(posted.map(({ seq }) => seq));
    const head = await db.selectFrom('rooms').selectAll().where('id', '=', room).executeTakeFirstOrThrow();
    expect([head.last_seq, head.message_count]).toEqual([rows.length, posted.length]);
    const { rows: stored } = await sql`select from messages where room_id = ${room}`.execute(db);
    expect(stored).toHaveLength(posted.length);
    return posted.map(({ body }) => body ?? '');
  }

  test('go together in two statements, and wake the room once', async () => {
    const asks = Array.from({ length: 15 }, (_, i) => ({ by: i % 2 === 0 ? owner : member, body: `${i}` }));
    const statements = await statementsOf(async () => {
      const posting = [{ by: owner, body: 'leads' }, ...asks].map((ask) => post(ask));
      await Promise.all(posting);
    });
    expect(statements.map(({ text }) => text.trim().slice(0, 6))).toEqual([
      'select',
      'with h',
      'select',
      'with h',
    ]);
    expect(await log()).toEqual(['leads', ...asks.map(({ body }) => body)]);
    await wokenUpTo(18);
    expect(woken.slice(-3)).toEqual([2, 3, 18]);
  });

  const kinds = async (work: () => Promise<unknown>): Promise<string[]> =>
    (await statementsOf(work)).map(({ text }) => text.trim().slice(0, 6));

  test('are one statement where this process was the last to write, and of those whose roles it has just seen', async () => {
    for (const by of [owner, member]) await post({ by });
    expect(await kinds(() => post({ by: owner }))).toEqual(['with h']);
    expect(
      await kinds(() => Promise.all([post({ by: member }), post({ by: owner }), post({ by: owner })])),
    ).toEqual(['with h', 'with h']);
    expect(await kinds(() => outcomeOf(post({ by: stranger })))).toEqual(['select']);
    expect(await kinds(() => post({ by: owner, key: 'k' }))).toContain('select');
    expect(await kinds(() => post({ by: owner }))).toEqual(['with h']);
    expect(await log()).toHaveLength(8);
  });

  test('read again where somebody else has written', async () => {
    const other = new MessagesService({ db, bus, feeds });
    for (let i = 0; i < 3; i++) await post({ by: owner, body: 'ours' });
    await post({ by: member, body: 'theirs' }, other);
    expect(await kinds(() => post({ by: owner, body: 'ours' }))).toEqual(['with h', 'select', 'with h']);
    await post({ by: member, body: 'theirs' }, other);
    // Where two take turns, it is not tried again and again.
    expect(await kinds(() => post({ by: owner, body: 'ours' }))).toEqual(['select', 'with h']);
    expect(await log()).toEqual(['ours', 'ours', 'ours', 'theirs', 'ours', 'theirs', 'ours']);
  });

  test('are refused to one who was a member when they posted last, also after the room is gone', async () => {
    for (let i = 0; i < 3; i++) await post({ by: member });
    await rooms.removeMember(owner, roomId, member);
    expect(await outcomeOf(post({ by: member }))).toBe('FORBIDDEN');
    await rooms.addMember(owner, roomId, member, 'MEMBER');
    for (let i = 0; i < 3; i++) await post({ by: member });
    await rooms.delete(owner, roomId);
    expect(await outcomeOf(post({ by: member }))).toBe('NOT_FOUND');
  });

  test('are at most sixty-four at a time', async () => {
    const posting = Array.from({ length: 1 + 64 + 1 }, (_, i) => post({ by: member, body: `${i}` }));
    await Promise.all(posting);
    await wokenUpTo(68);
    expect(woken.slice(-4)).toEqual([2, 3, 67, 68]);
    expect(await log()).toEqual(posting.map((_, i) => `${i}`));
  });

  test('have each its own outcome, and those that are refused leave no hole', async () => {
    const removed = await makeUser();
    await rooms.join(removed, roomId);
    await rooms.removeMember(owner, roomId, removed);
    const other = await makeRoom();
    const elsewhere = (await post({ by: owner, to: other })).messageId;
    const gone = (await post({ by: owner, body: 'to be deleted' })).messageId;
    await messages.delete(owner, gone);
    const [here, there] = [await makeFile(), await makeFile(other)];
    const good = (await post({ by: member, body: 'good' })).messageId;
    await post({ by: owner, body: 'first', key: 'used' });

    const outcomes = await together(
      { by: owner, body: 'one' },
      { by: stranger },
      { by: removed },
      { by: member, replyToId: elsewhere },
      { by: member, replyToId: gone },
      { by: member, replyToId: newId() },
      { by: member, fileIds: [here, there] },
      { by: member, fileIds: [newId()] },
      { by: member, body: ' ' },
      { by: owner, body: 'other', key: 'used' },
      { by: member, body: 'two', replyToId: good, fileIds: [here], key: 'used' },
      { by: owner, body: 'first', key: 'used' },
      { by: member, body: '', fileIds: [here] },
    );
    expect(outcomes.map((outcome) => (typeof outcome === 'string' ? outcome : 'posted'))).toEqual([
      'posted',
      'FORBIDDEN',
      'FORBIDDEN',
      'BAD_USER_INPUT input.replyToId',
      'BAD_USER_INPUT input.replyToId',
      'BAD_USER_INPUT input.replyToId',
      'BAD_USER_INPUT input.fileIds.1',
      'BAD_USER_INPUT input.fileIds.0',
      'BAD_USER_INPUT input.body',
      'CONFLICT input.idempotencyKey',
      'posted',
      'posted',
      'posted',
    ]);
    expect(await log()).toEqual(['', 'good', 'first', 'leads', 'one', 'two', '']);
    const [fileIds] = await messages.fileIds([idOf(outcomes[10]!)]);
    expect(fileIds).toEqual([here]);
  });

  test('of those who do not see the room find none, and nor does anyone where there is none', async () => {
    roomId = await makeRoom('PRIVATE');
    expect(await together({ by: stranger }, { by: owner }, { by: stranger })).toEqual([
      'NOT_FOUND',
      { messageId: expect.any(String), seq: 3 },
      'NOT_FOUND',
    ]);
    const nowhere = newId();
    const outcomes = [owner, member, owner].map((by) => outcomeOf(post({ by, to: nowhere })));
    expect(await Promise.all(outcomes)).toEqual(['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
  });

  describe('that bear one key', () => {
    test('are one, and another input under it is a conflict', async () => {
      const [first, twin, other, theirs] = await together(
        { by: member, body: 'once', key: 'k' },
        { by: member, body: 'once', key: 'k' },
        { by: member, body: 'other', key: 'k' },
        { by: owner, body: 'once', key: `k of ${roomId}` },
      );
      expect(first).toEqual({ messageId: expect.any(String), seq: 4 });
      expect(twin).toEqual(first);
      expect(other).toBe('CONFLICT input.idempotencyKey');
      expect(seqOf(theirs!)).toBe(5);
      expect(await log()).toEqual(['leads', 'once', 'once']);
    });

    test('leave it to the next when the first is refused', async () => {
      const key = word();
      const [refused, posted, late] = await together(
        { by: member, body: 'x', replyToId: newId(), key },
        { by: member, body: 'y', key },
        { by: member, body: 'x', key },
      );
      expect(refused).toBe('BAD_USER_INPUT input.replyToId');
      expect(seqOf(posted!)).toBe(4);
      expect(late).toBe('CONFLICT input.idempotencyKey');
    });

    test('answer the first outcome later as well, over a second process', async () => {
      const key = word();
      const [first] = await together({ by: member, body: 'kept', key });
      const other = new MessagesService({ db, bus, feeds });
      expect(await outcomeOf(post({ by: member, body: 'kept', key }, other))).toEqual(first);
      expect(await outcomeOf(post({ by: member, body: 'new', key }, other))).toBe(
        'CONFLICT input.idempotencyKey',
      );
    });

    test('are one each also when they go to two rooms by two processes in opposite order', async () => {
      const [here, there] = [roomId, await makeRoom()];
      await rooms.join(member, there);
      const [one, other] = [messages, new MessagesService({ db, bus, feeds })];
      for (let round = 0; round < 5; round++) {
        const keys = Array.from({ length: 12 }, () => word());
        const posting = keys.flatMap((_, i) => [
          { to: here, key: keys[i]!, by_: one },
          { to: there, key: keys.at(-1 - i)!, by_: other },
        ]);
        const outcomes = await Promise.all(
          posting.map(async ({ to, key, by_ }) => ({
            key,
            outcome: await outcomeOf(post({ by: member, to, key }, by_)),
          })),
        );
        for (const key of keys) {
          const [a, b] = outcomes.filter((one_) => one_.key === key).map(({ outcome }) => outcome);
          expect([a, b].filter((outcome) => outcome === 'CONFLICT input.idempotencyKey')).toHaveLength(1);
        }
        expect((await log(here)).length + (await log(there)).length).toBe(12 * (round + 1));
      }
    });
  });

  test('by several processes are in one order, each at its own place', async () => {
    const processes = [
      messages,
      new MessagesService({ db, bus, feeds }),
      new MessagesService({ db, bus, feeds }),
    ];
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        outcomeOf(post({ by: i % 2 === 0 ? owner : member, body: `${i}` }, processes[i % 3])),
      ),
    );
    expect(outcomes.map(seqOf).sort((a, b) => a - b)).toEqual(outcomes.map((_, i) => i + 3));
    const bodies = await log();
    expect(outcomes.map((outcome) => bodies[seqOf(outcome) - 3])).toEqual(outcomes.map((_, i) => `${i}`));
  });

  test('meet joins, removals and edits in one order: nobody posts after they were removed', async () => {
    const { messageId } = await post({ by: owner, body: 'edited' });
    for (let round = 0; round < 8; round++) {
      const guest = await makeUser();
      await rooms.join(guest, roomId);
      const posting = Array.from({ length: 6 }, (_, i) => outcomeOf(post({ by: guest, body: `${i}` })));
      const [removed] = await Promise.all([
        rooms.removeMember(owner, roomId, guest),
        messages.edit(owner, messageId, `edited ${round}`),
        rooms.join(await makeUser(), roomId),
      ]);
      posting.push(outcomeOf(post({ by: guest, body: 'after' })));
      const end = decodeEventCursor(removed.eventCursor)!.seq;
      const outcomes = await Promise.all(posting);
      for (const outcome of outcomes) if (outcome !== 'FORBIDDEN') expect(seqOf(outcome)).toBeLessThan(end);
      expect(outcomes.at(-1)).toBe('FORBIDDEN');
    }
    await log();
  });

  test('do not fail with one that the database refuses', async () => {
    await sql`alter table messages add constraint no_spam check (body <> 'spam')`.execute(db);
    try {
      const asks = ['one', 'spam', 'two', 'spam', 'three'].map((body) => post({ by: member, body }));
      const outcomes = await Promise.allSettled([post({ by: owner, body: 'four' }), ...asks]);
      expect(outcomes.map(({ status }) => status)).toEqual([
        'fulfilled',
        'fulfilled',
        'rejected',
        'fulfilled',
        'rejected',
        'fulfilled',
      ]);
      const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
      for (const reason of reasons) expect(reason).toMatchObject({ code: '23514', constraint: 'no_spam' });
      expect((await log()).sort()).toEqual(['four', 'one', 'three', 'two']);
      expect(await together({ by: member, body: 'after' })).toEqual([
        { messageId: expect.any(String), seq: 8 },
      ]);
    } finally {
      await sql`alter table messages drop constraint no_spam`.execute(db);
    }
  });

  test('go on when a new version of the program adds columns under them', async () => {
    const tables = ['rooms', 'memberships', 'messages', 'room_events'];
    for (let i = 0; i < 6; i++) await post({ by: member });
    const alter = (how: string): Promise<unknown[]> =>
      Promise.all(tables.map((table) => sql.raw(`alter table ${table} ${how}`).execute(db)));
    await alter('add column later text');
    try {
      expect(await together({ by: member })).toEqual([{ messageId: expect.any(String), seq: 10 }]);
    } finally {
      await alter('drop column later');
    }
  });

  test.skipIf(backend === 'embedded')('are prepared once by each connection', async () => {
    await post({ by: member });
    const { rows } = await sql<{
      name: string;
    }>`select name from pg_prepared_statements order by name`.execute(db);
    expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['insert_posts', 'room_with_roles']));
  });

  test('decided together come to what they come to one after the other', async () => {
    const [reply, file] = [(await post({ by: owner })).messageId, await makeFile()];
    const who = fc.constantFrom('owner', 'member', 'stranger');
    const ask = fc.record({
      who,
      body: fc.constantFrom('a', 'b'),
      replyToId: fc.constantFrom(undefined, reply, newId()),
      fileIds: fc.constantFrom([], [file], [newId()]),
      key: fc.constantFrom(undefined, 'k1', 'k2'),
    });
    const users = { owner, member, stranger };
    await fc.assert(
      fc.asyncProperty(fc.array(ask, { minLength: 1, maxLength: 20 }), async (asks) => {
        // Keys of their own for each of the two ways.
        const [joint, single] = [word(), word()];
        const of = ({ who: name, key, ...rest }: (typeof asks)[number], run: string): Ask => ({
          ...rest,
          by: users[name],
          key: key && `${run} ${key}`,
        });
        const before = (await log()).length;
        const ways = [await together(...asks.map((one) => of(one, joint))), [] as Outcome[]] as const;
        const between = (await log()).length;
        for (const one of asks) ways[1].push(await outcomeOf(post(of(one, single))));
        const after = (await log()).length;
        // The one that leads comes on top.
        expect(between - before - 1).toBe(after - between);
        const [together_, alone] = ways.map((outcomes) => {
          const first = outcomes.map(idOf);
          return outcomes.map((outcome, i) =>
            typeof outcome === 'string' ? outcome : { sameAs: first.indexOf(first[i]!) },
          );
        });
        expect(together_).toEqual(alone);
      }),
      { numRuns: 25 },
    );
  });

  describe.skipIf(backend === 'embedded')(
    'when something comes between their reading and their writing',
    () => {
      /** Does it in a transaction that ends once a post waits for what it has locked. */
      async function between(
        work: () => Promise<unknown>,
        ...parts: ReturnType<typeof sql>[]
      ): Promise<unknown> {
        let answer: Promise<unknown> | undefined;
        await db.transaction().execute(async (trx) => {
          for (const part of parts) await part.execute(trx);
          answer = work();
          answer.catch(() => undefined);
          await eventually(10_000, 'the post waits', async () => {
            // Over another connection: within a transaction it is looked at once.
            const { rows } = await sql`
            select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into messages%'`.execute(
              db,
            );
            return rows.length > 0;
          });
        });
        return answer;
      }

      const moved = (): ReturnType<typeof sql> => sql`
      with head as (update rooms set last_seq = last_seq + 1, last_tag = 'AAAAAAAAAAA' where id = ${roomId}
        returning last_seq)
      insert into room_events (room_id, seq, tag, kind, at) select ${roomId}, last_seq, 'AAAAAAAAAAA', 'MEMBER_LEFT', now()
      from head`;

      test('one who was removed meanwhile is refused', async () => {
        const outcome = await between(
          () => outcomeOf(post({ by: member })),
          moved(),
          sql`delete from memberships where room_id = ${roomId} and user_id = ${member}`,
        );
        expect(outcome).toBe('FORBIDDEN');
        expect(await log()).toEqual([]);
      });

      test('an answer to what was deleted meanwhile is refused, and what stands behind it is posted', async () => {
        const { messageId } = await post({ by: owner, body: 'deleted' });
        const outcomes = await between(
          () =>
            Promise.all([
              outcomeOf(post({ by: member, replyToId: messageId })),
              outcomeOf(post({ by: member, body: 'posted' })),
            ]),
          moved(),
          sql`update messages set deleted_at = now() where id = ${messageId}`,
        );
        expect(outcomes).toEqual([
          'BAD_USER_INPUT input.replyToId',
          { messageId: expect.any(String), seq: 5 },
        ]);
        expect(await log()).toEqual(['deleted', 'posted']);
      });

      test('a key that was used elsewhere meanwhile is a conflict, and costs no place', async () => {
        const key = word();
        const outcome = await between(
          () => outcomeOf(post({ by: member, key })),
          sql`insert into idempotency_keys (user_id, mutation, key, input_hash, outcome)
          values (${member}, 'postMessage', ${key}, 'of another input', '{}')`,
        );
        expect(outcome).toBe('CONFLICT input.idempotencyKey');
        expect(await log()).toEqual([]);
      });
    },
  );

  test.skipIf(backend === 'embedded')(
    'whose connection is killed in the middle are written once, each where its answer says',
    async () => {
      await sql`create sequence kills`.execute(db);
      await sql`
        create function kill() returns trigger language plpgsql as $$
        begin
          if nextval('kills') in (8, 21) then perform pg_terminate_backend(pg_backend_pid()); end if;
          return new;
        end $$`.execute(db);
      await sql`create trigger kill before insert on messages for each row execute function kill()`.execute(
        db,
      );
      try {
        const asks = Array.from({ length: 20 }, (_, i) => ({
          by: member,
          body: `${i}`,
          key: i % 3 === 0 ? `kill ${i}` : undefined,
        }));
        const outcomes = await Promise.all(asks.map((ask) => outcomeOf(post(ask))));
        const bodies = await log();
        expect(bodies).toEqual(asks.map(({ body }) => body));
        expect(outcomes.map((outcome) => bodies[seqOf(outcome) - 3])).toEqual(asks.map(({ body }) => body));
        const { rows } = await sql<{ last_value: number }>`select last_value from kills`.execute(db);
        // Twice, each time with some of the batch inserted.
        expect(rows[0]!.last_value).toBe(40);
      } finally {
        await sql`drop trigger kill on messages`.execute(db);
      }
    },
  );
});

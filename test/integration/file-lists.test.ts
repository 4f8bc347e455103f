import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { readConfig } from '../../src/config/env.js';
import { newId } from '../../src/db/ids.js';
import { openDatabase } from '../../src/db/open.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp, type Variables } from '../support/client.js';

const ARGS =
  '$first: Int, $after: String, $last: Int, $before: String, $filter: FileFilter, $orderBy: FileOrder';
const PASSED =
  'first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy';
const PAGE = 'totalCount edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage }';
const ALL = `query ($rooms: [ID!], ${ARGS}) { files(roomIds: $rooms, ${PASSED}) { ${PAGE} } }`;
const OF_ROOM = `query ($room: ID!, ${ARGS}) { room(id: $room) { files(${PASSED}) { ${PAGE} } } }`;
const NUMBERED = `query ($room: ID!, $page: Int!, $size: Int!, $filter: FileFilter, $orderBy: FileOrder) {
  filePage(roomId: $room, page: $page, size: $size, filter: $filter, orderBy: $orderBy) { total items { id } } }`;

/** More than are searched each by itself. */
const ROOMS = 24;
const NAMES = ['b.txt', 'B.txt', 'a.png', 'report 1.pdf', 'Report 12.PDF', '50%_off\\.txt', 'ﬁ.txt', 'ä.txt'];
/** Those around `image/` too. */
const TYPES = ['image/png', 'image/gif', 'image+x/png', 'imag/png', 'text/plain', 'text/csv'];
const DAYS = ['2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.001Z', '2026-02-01T12:00:00.500Z'];

interface Row {
  readonly id: string;
  readonly room: string;
  readonly seq: number;
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly uploader: string;
  readonly at: string;
}

interface Filter {
  readonly mimeType?: string | undefined;
  readonly nameContains?: string | undefined;
  readonly uploaderId?: string | undefined;
  readonly createdAfter?: string | undefined;
  readonly createdBefore?: string | undefined;
}

type OrderField = 'CREATED_AT' | 'NAME' | 'SIZE';

const fold = (text: string): string => text.normalize('NFKC').toLowerCase().normalize('NFKC');

const uuidOf = (id: string): string => {
  const hex = Buffer.from(id.slice(id.indexOf('_') + 1), 'base64url').toString('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
};

/** What the filter lets through, worked out anew. */
const matches = (
  row: Row,
  { mimeType, nameContains, uploaderId, createdAfter, createdBefore }: Filter,
): boolean =>
  (mimeType === undefined ||
    row.type === mimeType ||
    (mimeType.endsWith('/*') && row.type.startsWith(mimeType.slice(0, -1)))) &&
  (nameContains === undefined || fold(row.name).includes(fold(nameContains))) &&
  (uploaderId === undefined || row.uploader === uploaderId) &&
  (createdAfter === undefined || row.at >= createdAfter) &&
  (createdBefore === undefined || row.at < createdBefore);

const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** By the order's value, then by room, then by time. */
const inOrder =
  (field: OrderField, direction: string) =>
  (a: Row, b: Row): number => {
    const byValue = {
      CREATED_AT: compareBytes(a.at, b.at),
      NAME: compareBytes(fold(a.name), fold(b.name)),
      SIZE: a.size - b.size,
    };
    const rising = byValue[field] || compareBytes(uuidOf(a.room), uuidOf(b.room)) || a.seq - b.seq;
    return direction === 'ASC' ? rising : -rising;
  };

/** Small numbers that are the same in each run. */
function* numbers(): Generator<number, never> {
  for (let state = 7; ;) {
    state = (state * 48271) % 2147483647;
    yield state;
  }
}

describe.each(backends)('Lists of files on %s', (backend) => {
  let place: Place;
  let app: App;
  let ada: Client;
  let bob: Client;
  let rooms: string[];
  let strangers: string;
  let rows: Row[];

  beforeAll(async () => {
    place = await makePlace(backend);
    let people: Client[];
    {
      await using first = await startOn(place);
      people = await Promise.all([signUp(first.url), signUp(first.url)]);
      const [owner, other] = people as [Client, Client];
      rooms = [];
      for (let i = 0; i < ROOMS; i++) rooms.push(await owner.createRoom(i % 2 === 0 ? 'PUBLIC' : 'PRIVATE'));
      strangers = await other.createRoom();
      await other.join(rooms[0]!);
    }
    // While nobody serves, since two files of one moment take a clock that stands still.
    rows = await fill(people.map(({ userId }) => userId));
    app = await startOn(place);
    [ada, bob] = people.map(({ token, userId }) => new Client(app.url, token, userId)) as [Client, Client];
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  /** Files in all rooms, each value of theirs one of a few. Some are deleted. Answers those of Ada's rooms that are there. */
  async function fill(uploaders: readonly string[]): Promise<Row[]> {
    const { db, close } = await openDatabase(readConfig(environmentOf(place)), createLogger('silent'));
    const random = numbers();
    const pick = <T>(values: readonly T[]): T => values[random.next().value % values.length]!;
    const there: Row[] = [];
    for (const [i, room] of [...rooms, strangers].entries()) {
      // One room has nothing.
      const count = i === 0 ? 30 : i === 1 ? 0 : 3;
      let present = 0;
      for (let seq = 100; seq < 100 + count; seq++) {
        const row: Row = {
          id: newId(),
          room,
          seq,
          name: pick(NAMES),
          type: pick(TYPES),
          size: pick([1, 2, 30]),
          uploader: pick(uploaders),
          at: pick(DAYS),
        };
        const isDeleted = seq % 7 === 0;
        const blob = { id: row.id, storage_key: row.id, sha256: 'none', size: row.size, is_shared: false };
        await db.insertInto('blobs').values(blob).execute();
        await db
          .insertInto('files')
          .values({
            id: row.id,
            room_id: uuidOf(room),
            seq,
            uploader_id: uuidOf(row.uploader),
            name: row.name,
            name_key: fold(row.name),
            mime_type: row.type,
            size: row.size,
            sha256: 'none',
            blob_id: isDeleted ? null : blob.id,
            created_at: new Date(row.at),
            deleted_at: isDeleted ? new Date() : null,
          })
          .execute();
        if (isDeleted) continue;
        present++;
        if (room !== strangers) there.push(row);
      }
      await db.updateTable('rooms').set({ file_count: present }).where('id', '=', uuidOf(room)).execute();
    }
    await close();
    return there;
  }

  const readAll = async (variables: Variables, client = ada): Promise<any> =>
    (await client.run(ALL, variables))['files'];
  const readRoom = async (room: string, variables: Variables): Promise<any> =>
    (await ada.run(OF_ROOM, { room, ...variables }))['room'].files;
  const idsOf = (page: any): string[] => page.edges.map(({ node }: any) => uuidOf(node.id));

  const order = fc.record({
    field: fc.constantFrom<OrderField>('CREATED_AT', 'NAME', 'SIZE'),
    direction: fc.constantFrom('ASC', 'DESC'),
  });
  const maybe = <T>(values: readonly T[]) =>
    fc.option(fc.constantFrom(...values), { nil: undefined, freq: 2 });
  const filters = (): fc.Arbitrary<Filter> =>
    fc.record({
      mimeType: maybe([...TYPES, 'image/*', 'text/*', 'video/*', 'imag/*']),
      nameContains: maybe([
        '',
        'report',
        'REPORT 1',
        'r',
        '.t',
        '%_',
        '\\',
        'fi',
        'ﬁ',
        'Ä',
        'txt',
        'nowhere',
      ]),
      uploaderId: maybe([ada.userId, bob.userId]),
      createdAfter: maybe([...DAYS, '2026-02-02T00:00:00Z']),
      createdBefore: maybe([...DAYS, '2025-12-31T00:00:00Z']),
    });
  /** Undefined: all rooms. A list: some of them. A text: one, by Room.files. */
  const scopes = () =>
    fc.oneof(
      { weight: 3, arbitrary: fc.constant(undefined) },
      { weight: 2, arbitrary: fc.constantFrom(rooms[0]!, rooms[1]!, rooms[2]!) },
      fc.subarray([...rooms, strangers]),
    );

  test('are what the filter lets through, in order, whichever way and in whatever pages they are read', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        scopes(),
        filters(),
        order,
        sizes,
        fc.boolean(),
        async (scope, filter, orderBy, chosen, forward) => {
          const read = (args: Variables): Promise<any> =>
            typeof scope === 'string'
              ? readRoom(scope, { filter, orderBy, ...args })
              : readAll({ rooms: scope, filter, orderBy, ...args });
          const expected = rows
            .filter((row) => (scope === undefined || scope.includes(row.room)) && matches(row, filter))
            .toSorted(inOrder(orderBy.field, orderBy.direction))
            .map(({ id }) => id);
          const seen: string[] = [];
          for (let cursor: string | undefined, i = 0; ; i++) {
            const count = chosen[i % chosen.length]!;
            const page = await read(
              forward ? { first: count, after: cursor } : { last: count, before: cursor },
            );
            if (forward) seen.push(...idsOf(page));
            else seen.unshift(...idsOf(page));
            const goesOn = seen.length < expected.length;
            expect(page.pageInfo).toEqual({
              hasNextPage: forward ? goesOn : i > 0,
              hasPreviousPage: forward ? i > 0 : goesOn,
            });
            expect(page.totalCount).toBe(expected.length);
            if (!goesOn) break;
            expect(idsOf(page)).toHaveLength(count);
            cursor = (forward ? page.edges.at(-1) : page.edges[0]).cursor;
          }
          expect(seen).toEqual(expected);
        },
      ),
      { numRuns: 120 },
    );
  }, 120_000);

  test('between any two cursors are what the Relay specification says', async () => {
    await fc.assert(
      fc.asyncProperty(
        filters(),
        order,
        fc.nat(),
        fc.nat(),
        fc.nat({ max: 30 }),
        fc.boolean(),
        async (filter, orderBy, a, b, count, fromEnd) => {
          const whole = await readAll({ filter, orderBy, first: 100 });
          const length = whole.edges.length;
          if (length === 0) return;
          const [begin, end] = [a % length, b % length].toSorted((x, y) => x - y) as [number, number];
          const page = await readAll({
            filter,
            orderBy,
            after: whole.edges[begin].cursor,
            before: whole.edges[end].cursor,
            [fromEnd ? 'last' : 'first']: count,
          });
          const between = whole.edges.slice(begin + 1, end);
          const expected = fromEnd
            ? between.slice(Math.max(between.length - count, 0))
            : between.slice(0, count);
          expect(page.edges).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  test('are the same in numbered pages', async () => {
    await fc.assert(
      fc.asyncProperty(filters(), order, fc.integer({ min: 1, max: 12 }), async (filter, orderBy, size) => {
        const expected = rows
          .filter((row) => row.room === rooms[0] && matches(row, filter))
          .toSorted(inOrder(orderBy.field, orderBy.direction))
          .map(({ id }) => id);
        const seen: string[] = [];
        for (let page = 1; page <= Math.ceil(expected.length / size) + 1; page++) {
          const { filePage } = await ada.run(NUMBERED, { room: rooms[0], page, size, filter, orderBy });
          expect(filePage.total).toBe(expected.length);
          seen.push(...filePage.items.map(({ id }: { id: string }) => uuidOf(id)));
        }
        expect(seen).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  test('begin at the moment of createdAfter, and end before that of createdBefore', async () => {
    const countOf = async (filter: Filter): Promise<number> =>
      (await readAll({ filter, first: 0 })).totalCount;
    const at = (day: string): number => rows.filter((row) => row.at === day).length;
    expect(await countOf({ createdAfter: DAYS[1]!, createdBefore: DAYS[2]! })).toBe(at(DAYS[1]!));
    expect(await countOf({ createdBefore: DAYS[1]! })).toBe(at(DAYS[0]!));
    expect(await countOf({ createdAfter: '2026-01-01T01:00:00.001+01:00' })).toBe(rows.length - at(DAYS[0]!));
    expect(
      await countOf({ createdAfter: '0000-01-01T00:00:00Z', createdBefore: '9999-12-31T23:59:59.999Z' }),
    ).toBe(rows.length);
    expect(await countOf({ createdAfter: DAYS[2]!, createdBefore: DAYS[0]! })).toBe(0);
  });

  test('belong with their cursors to rooms, filter, order and viewer', async () => {
    const filter = { createdAfter: DAYS[0] };
    const cursor = (await readAll({ rooms: rooms.slice(0, 3), filter, first: 1 })).edges[0].cursor;
    const same = {
      rooms: rooms.slice(0, 3).reverse(),
      filter,
      orderBy: { field: 'CREATED_AT' },
      after: cursor,
    };
    expect(idsOf(await readAll(same))).not.toHaveLength(0);
    for (const other of [
      { rooms: undefined },
      { rooms: rooms.slice(0, 2) },
      { filter: undefined },
      { filter: { createdAfter: DAYS[1] } },
      { filter: { createdBefore: DAYS[0] } },
      { orderBy: { field: 'SIZE' } },
      { orderBy: { direction: 'ASC' } },
    ]) {
      expect(await ada.refusal(ALL, { ...same, ...other }), JSON.stringify(other)).toBe('BAD_CURSOR');
    }
    expect(await bob.refusal(ALL, same)).toBe('BAD_CURSOR');
    expect(await ada.refusal(OF_ROOM, { room: rooms[0], filter, after: cursor })).toBe('BAD_CURSOR');
    const ofRoom = (await readRoom(rooms[0]!, { filter, first: 1 })).edges[0].cursor;
    expect(await ada.refusal(ALL, { rooms: [rooms[0]], filter, after: ofRoom })).toBe('BAD_CURSOR');
    expect(
      await ada.refusal(OF_ROOM, { room: rooms[0], filter: { createdAfter: DAYS[1] }, after: ofRoom }),
    ).toBe('BAD_CURSOR');
  });

  test('of all rooms are refused for what is no room, and for too many of them', async () => {
    expect(await ada.refusal(ALL, { rooms: [ada.userId] })).toBe('BAD_USER_INPUT');
    expect(await ada.refusal(ALL, { rooms: ['room_x'] })).toBe('BAD_USER_INPUT');
    expect(await ada.refusal(ALL, { rooms: Array.from({ length: 101 }, () => rooms[0]) })).toBe(
      'BAD_USER_INPUT',
    );
    expect(await ada.refusal(ALL, { filter: { uploaderId: rooms[0] } })).toBe('BAD_USER_INPUT');
    expect(await ada.refusal(ALL, { first: 1, last: 1 })).toBe('BAD_USER_INPUT');
    for (const moment of ['yesterday', '2026-02-30T00:00:00Z']) {
      expect(await ada.refusal(ALL, { filter: { createdAfter: moment } })).toBe('BAD_USER_INPUT');
      const literal = `{ files(filter: { createdBefore: "${moment}" }) { totalCount } }`;
      expect(await ada.refusal(literal)).toBe('BAD_USER_INPUT');
    }
    expect(await ada.refusal('{ files(filter: { createdBefore: 5 }) { totalCount } }')).toBe(
      'GRAPHQL_VALIDATION_FAILED',
    );
  });

  test('of all rooms are null when signed out, and empty for who is in none', async () => {
    expect(await new Client(app.url).run(ALL)).toEqual({ files: null });
    expect(await readAll({}, await signUp(app.url))).toEqual({
      totalCount: 0,
      edges: [],
      pageInfo: { hasNextPage: false, hasPreviousPage: false },
    });
  });

  test('of all rooms follow memberships, uploads and deletions', async () => {
    const carol = await signUp(app.url);
    const [stays, leaves] = [await ada.createRoom(), await ada.createRoom()];
    const upload = async (room: string, name: string): Promise<string> => {
      const { data } = await ada.upload(room, name, 'x');
      return data['uploadFile'].file.id as string;
    };
    const ids = [
      await upload(stays, 'one.txt'),
      await upload(leaves, 'two.txt'),
      await upload(stays, 'three.txt'),
    ];
    for (const filter of [{}, { nameContains: 't' }, { mimeType: 'text/*' }]) {
      const seen = async (variables: Variables = {}): Promise<string[]> =>
        (await readAll({ filter, ...variables }, carol)).edges.map(({ node }: any) => node.id);
      expect(await seen()).toEqual([]);
      await carol.join(stays);
      await carol.join(leaves);
      expect(await seen()).toEqual(ids.toReversed());
      const { edges } = await readAll({ filter, first: 1 }, carol);
      const after = edges[0].cursor;
      expect(await seen({ after })).toEqual([ids[1], ids[0]]);
      // Whoever leaves while paging gets no more of that room, and the rest of the others.
      const leave = `mutation ($room: ID!) { leaveRoom(input: { roomId: $room }) { roomId } }`;
      await carol.run(leave, { room: leaves });
      expect(await seen({ after })).toEqual([ids[0]]);
      expect(await seen({ rooms: [leaves] })).toEqual([]);
      await carol.run(leave, { room: stays });
    }
    await carol.join(stays);
    const remove = `mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`;
    await ada.run(remove, { id: ids[2] });
    const left = await readAll({}, carol);
    expect([left.totalCount, left.edges.map(({ node }: any) => node.id)]).toEqual([1, [ids[0]]]);
    expect((await readAll({ filter: { nameContains: 'three' } }, carol)).totalCount).toBe(0);
  });
});

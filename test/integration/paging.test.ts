import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { signUp, word, type Client, type Variables } from '../support/client.js';

interface Page {
  readonly ids: string[];
  readonly cursors: string[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

interface Args {
  readonly first?: number | undefined;
  readonly after?: string | undefined;
  readonly last?: number | undefined;
  readonly before?: string | undefined;
}

/** A list of the API: reads a page of it. */
type Read = (args: Args) => Promise<Page>;

const PAGE = `edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }`;

const pageOf = (connection: Record<string, any>): Page => ({
  ids: connection['edges'].map((edge: { node: { id: string } }) => edge.node.id),
  cursors: connection['edges'].map((edge: { cursor: string }) => edge.cursor),
  pageInfo: connection['pageInfo'],
});

const readRoomList =
  (client: Client, roomId: string, field: string, more: Variables = {}): Read =>
  async (args) => {
    const files =
      field === 'files'
        ? ['$orderBy: FileOrder, $filter: FileFilter', 'orderBy: $orderBy, filter: $filter']
        : ['', ''];
    const { room } = await client.run(
      `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String, ${files[0] ?? ''}) { room(id: $id) {
        list: ${field}(first: $first, after: $after, last: $last, before: $before, ${files[1] ?? ''}) { ${PAGE} } } }`,
      { id: roomId, ...args, ...more },
    );
    return pageOf(room.list);
  };

const readRooms =
  (client: Client, filter: Variables): Read =>
  async (args) => {
    const { rooms } = await client.run(
      `query ($first: Int, $after: String, $last: Int, $before: String, $filter: RoomFilter) {
        rooms(first: $first, after: $after, last: $last, before: $before, filter: $filter) { ${PAGE} } }`,
      { ...args, filter },
    );
    return pageOf(rooms);
  };

const ORDERS = (['CREATED_AT', 'NAME', 'SIZE'] as const).flatMap((field) =>
  (['ASC', 'DESC'] as const).map((direction) => ({ field, direction })),
);
const LISTS = [
  'messages',
  'members',
  'rooms',
  ...ORDERS.map(({ field, direction }) => `files by ${field} ${direction}`),
];

/** Names and sizes that are equal, or look it, or sort differently by bytes than by a dictionary. */
const NAMES = [
  'b.txt',
  'B.txt',
  'a.txt',
  'a.txt',
  'ä.txt',
  'z.txt',
  'Z-1.txt',
  'a-b.txt',
  'ab.txt',
  'ﬁ.txt',
  '10.txt',
  '9.txt',
];
const SIZES = [3, 1, 3, 2, 3, 12, 1, 1, 2, 3, 7, 3];

/** What the API orders by, worked out here anew: the bytes of the folded name, then time. */
const nameBytes = (name: string): Buffer => Buffer.from(name.normalize('NFKC').toLowerCase());

describe.each(backends)('Pages on %s', (backend) => {
  let app: App;
  let owner: Client;
  let users: Client[];
  const lists: Record<string, { read: Read; ids: string[] }> = {};

  beforeAll(async () => {
    app = await startParley(backend);
    owner = await signUp(app.url);
    users = await Promise.all(Array.from({ length: 13 }, () => signUp(app.url)));
    const roomId = await owner.createRoom();

    const members = [await memberId(roomId)];
    for (const user of users) members.push(await addMember(roomId, user));
    lists['members'] = { read: readRoomList(owner, roomId, 'members'), ids: members };

    const messages: string[] = [];
    for (let i = 0; i < 13; i++) messages.push((await owner.post(roomId, `message ${i}`)).id);
    lists['messages'] = { read: readRoomList(owner, roomId, 'messages'), ids: messages };

    const files: { id: string; name: string; size: number; time: number }[] = [];
    for (const [time, name] of NAMES.entries()) {
      files.push({ id: await upload(roomId, name, SIZES[time]!), name, size: SIZES[time]!, time });
    }
    for (const { field, direction } of ORDERS) {
      const sorted = files.toSorted((a, b) => {
        const byKey = {
          CREATED_AT: 0,
          NAME: Buffer.compare(nameBytes(a.name), nameBytes(b.name)),
          SIZE: a.size - b.size,
        };
        return (byKey[field] || a.time - b.time) * (direction === 'ASC' ? 1 : -1);
      });
      lists[`files by ${field} ${direction}`] = {
        read: readRoomList(owner, roomId, 'files', { orderBy: { field, direction } }),
        ids: sorted.map(({ id }) => id),
      };
    }

    const slugs = ['b', 'a-1', 'a', 'a1', 'ab', 'a-b', '9', '10', 'z9', 'z-9', 'za'].map(
      (slug) => `x${slug}`,
    );
    const rooms = new Map<string, string>();
    for (const [i, slug] of slugs.entries())
      rooms.set(slug, await owner.createRoom(i % 2 === 0 ? 'PUBLIC' : 'PRIVATE', slug));
    lists['rooms'] = {
      read: readRooms(owner, { nameContains: 'Room x' }),
      ids: slugs
        .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        .map((slug) => rooms.get(slug)!),
    };
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const memberId = async (roomId: string): Promise<string> => {
    const { room } = await owner.run(`query ($id: ID!) { room(id: $id) { viewerMembership { id } } }`, {
      id: roomId,
    });
    return room.viewerMembership.id as string;
  };

  const addMember = async (roomId: string, user: Client): Promise<string> => {
    const { addMember: added } = await owner.run(
      `mutation ($input: AddMemberInput!) { addMember(input: $input) { member { id } } }`,
      { input: { roomId, userId: user.userId } },
    );
    return added.member.id as string;
  };

  const upload = async (roomId: string, name: string, size: number): Promise<string> => {
    const { data } = await owner.upload(roomId, name, 'x'.repeat(size));
    return data['uploadFile'].file.id as string;
  };

  describe.each(LISTS)('of %s', (name) => {
    test('of any sizes yield every row once and in order, forward and backward, and know where they lie', async () => {
      const { read, ids } = lists[name]!;
      const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(sizes, fc.boolean(), async (chosen, forward) => {
          const seen: string[] = [];
          let cursor: string | undefined;
          for (let i = 0; ; i++) {
            const count = chosen[i % chosen.length]!;
            const page = await read(
              forward ? { first: count, after: cursor } : { last: count, before: cursor },
            );
            if (forward) seen.push(...page.ids);
            else seen.unshift(...page.ids);
            const goesOn = seen.length < ids.length;
            expect(page.pageInfo).toEqual({
              hasNextPage: forward ? goesOn : i > 0,
              hasPreviousPage: forward ? i > 0 : goesOn,
              startCursor: page.cursors[0],
              endCursor: page.cursors.at(-1),
            });
            if (!goesOn) break;
            expect(page.ids).toHaveLength(count);
            cursor = (forward ? page.pageInfo.endCursor : page.pageInfo.startCursor)!;
          }
          expect(seen).toEqual(ids);
        }),
        { numRuns: 10 },
      );
    });

    test('between any two cursors are what the Relay specification says', async () => {
      const { read, ids } = lists[name]!;
      const { cursors } = await read({ first: 100 });
      expect(cursors).toHaveLength(ids.length);
      const place = fc.option(fc.nat({ max: ids.length - 1 }), { nil: undefined });
      const size = fc.option(fc.nat({ max: 14 }), { nil: undefined });
      await fc.assert(
        fc.asyncProperty(place, place, size, fc.boolean(), async (after, before, count, fromEnd) => {
          const page = await read({
            after: after === undefined ? undefined : cursors[after]!,
            before: before === undefined ? undefined : cursors[before]!,
            [fromEnd ? 'last' : 'first']: count,
          });
          // https://relay.dev/graphql/connections.htm#sec-Pagination-algorithm
          const begin = after === undefined ? 0 : after + 1;
          const end = Math.max(before ?? ids.length, begin);
          const length = Math.min(count ?? 20, end - begin);
          const from = fromEnd && count !== undefined ? end - length : begin;
          expect(page.ids).toEqual(ids.slice(from, from + length));
          expect(page.cursors).toEqual(cursors.slice(from, from + length));
          const crossed = before !== undefined && before < begin;
          if (!crossed) {
            expect(page.pageInfo).toEqual({
              hasNextPage: from + length < ids.length,
              hasPreviousPage: from > 0,
              startCursor: page.cursors[0] ?? null,
              endCursor: page.cursors.at(-1) ?? null,
            });
          }
        }),
        { numRuns: 40 },
      );
    });
  });

  test('numbered pages of any size yield every file once and in order, and count them', async () => {
    const { ids } = lists['files by NAME ASC']!;
    const { room } = await owner
      .run(`query ($id: ID!) { node(id: $id) { ... on File { room { id } } } }`, { id: ids[0] })
      .then(({ node }) => node);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 14 }), async (size) => {
        const seen: string[] = [];
        const pages = Math.ceil(ids.length / size);
        for (let page = 1; page <= pages + 1; page++) {
          const { filePage } = await owner.run(
            `query ($roomId: ID!, $page: Int!, $size: Int!) { filePage(roomId: $roomId, page: $page, size: $size, orderBy: { field: NAME, direction: ASC }) {
              items { id } total page size pages } }`,
            { roomId: room.id, page, size },
          );
          seen.push(...filePage.items.map(({ id }: { id: string }) => id));
          expect(filePage).toMatchObject({ total: ids.length, page, size, pages });
        }
        expect(seen).toEqual(ids);
      }),
      { numRuns: 8 },
    );
  });

  /** A list that changes while one pages through it. */
  interface Changing {
    readonly read: Read;
    readonly add: (random: number) => Promise<string>;
    /** Takes a row away, or changes it where rows are for good. */
    readonly touch: (id: string) => Promise<unknown>;
    /** Whether `touch` takes it away. */
    readonly removes: boolean;
  }

  const changing: Record<string, () => Promise<Changing>> = {
    messages: async () => {
      const roomId = await owner.createRoom();
      return {
        read: readRoomList(owner, roomId, 'messages'),
        add: async () => (await owner.post(roomId, 'new')).id,
        touch: (id) =>
          owner.run(
            `mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { eventCursor } }`,
            { input: { messageId: id } },
          ),
        removes: false,
      };
    },
    members: async () => {
      const roomId = await owner.createRoom();
      const absent = [...users];
      const present = new Map<string, Client>();
      return {
        read: readRoomList(owner, roomId, 'members'),
        add: async () => {
          const user = absent.pop()!;
          const id = await addMember(roomId, user);
          present.set(id, user);
          return id;
        },
        touch: (id) =>
          owner.run(`mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { eventCursor } }`, {
            input: { roomId, userId: present.get(id)!.userId },
          }),
        removes: true,
      };
    },
    rooms: async () => {
      const mark = word();
      return {
        read: readRooms(owner, { nameContains: mark, joined: true }),
        add: (random) =>
          owner.createRoom('PRIVATE', `${String.fromCharCode(97 + (random % 26))}${mark}-${word()}`),
        touch: (id) =>
          owner.run(`mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { eventCursor } }`, {
            input: { roomId: id },
          }),
        removes: true,
      };
    },
    ...Object.fromEntries(
      ORDERS.map(({ field, direction }) => [
        `files by ${field} ${direction}`,
        async (): Promise<Changing> => {
          const roomId = await owner.createRoom();
          return {
            read: readRoomList(owner, roomId, 'files', { orderBy: { field, direction } }),
            add: (random) =>
              upload(roomId, `${String.fromCharCode(97 + (random % 5))}.txt`, 1 + (random % 3)),
            touch: (id) =>
              owner.run(`mutation ($input: DeleteFileInput!) { deleteFile(input: $input) { eventCursor } }`, {
                input: { fileId: id },
              }),
            removes: true,
          };
        },
      ]),
    ),
  };

  test.each(LISTS)(
    'of %s yield what was there all the time once and in order, while rows come and go',
    async (name) => {
      const step = fc.record({
        add: fc.option(fc.nat({ max: 1000 })),
        touch: fc.option(fc.nat({ max: 1000 })),
        count: fc.integer({ min: 1, max: 3 }),
      });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 5 }),
          fc.array(step, { minLength: 2, maxLength: 5 }),
          fc.boolean(),
          async (initial, steps, forward) => {
            const list = await changing[name]!();
            const candidates: string[] = [];
            for (const random of initial) candidates.push(await list.add(random));
            const before = (await list.read({ first: 100 })).ids;
            const touched = new Set<string>();

            const seen: string[] = [];
            let cursor: string | undefined;
            for (let i = 0; ; i++) {
              const { add, touch, count } = steps[i % steps.length]!;
              const page = await list.read(
                forward ? { first: count, after: cursor } : { last: count, before: cursor },
              );
              if (forward) seen.push(...page.ids);
              else seen.unshift(...page.ids);
              cursor = (forward ? page.pageInfo.endCursor : page.pageInfo.startCursor) ?? cursor;
              if (!(forward ? page.pageInfo.hasNextPage : page.pageInfo.hasPreviousPage)) break;
              // Changes between pages end some time, or one would page for ever.
              if (i >= steps.length) continue;
              if (add !== null) await list.add(add);
              const victim = touch === null ? undefined : candidates[touch % candidates.length];
              if (victim !== undefined && !touched.has(victim)) {
                touched.add(victim);
                await list.touch(victim);
              }
            }
            expect(new Set(seen).size).toBe(seen.length);
            const stayed = before.filter((id) => !list.removes || !touched.has(id));
            expect(seen.filter((id) => stayed.includes(id))).toEqual(stayed);
          },
        ),
        { numRuns: 6 },
      );
    },
  );

  test('go on from the cursor of a row that is gone, and still know what lies before', async () => {
    const roomId = await owner.createRoom();
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c', 'd']) ids.push(await upload(roomId, `${name}.txt`, 1));
    const read = readRoomList(owner, roomId, 'files', { orderBy: { field: 'NAME', direction: 'ASC' } });
    const { cursors } = await read({ first: 4 });
    const deleteFile = `mutation ($input: DeleteFileInput!) { deleteFile(input: $input) { eventCursor } }`;
    await owner.run(deleteFile, { input: { fileId: ids[1] } });
    expect(await read({ first: 1, after: cursors[1]! })).toMatchObject({
      ids: [ids[2]],
      pageInfo: { hasNextPage: true, hasPreviousPage: true },
    });
    expect(await read({ last: 5, before: cursors[1]! })).toMatchObject({
      ids: [ids[0]],
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
    });
    await owner.run(deleteFile, { input: { fileId: ids[0] } });
    expect(await read({ first: 5, after: cursors[1]! })).toMatchObject({
      ids: [ids[2], ids[3]],
      pageInfo: { hasNextPage: false, hasPreviousPage: false },
    });
    expect(await read({ last: 5, before: cursors[1]! })).toMatchObject({
      ids: [],
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
    });
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { signUp, type Client, type GraphQLAnswer } from '../support/client.js';
import { live, subscribe } from '../support/live.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Texts that differ from a cursor in one character, each in turn, and some that differ otherwise. */
function forgeries(cursor: string): string[] {
  const altered = Array.from(cursor).flatMap((character, i) => {
    const at = ALPHABET.indexOf(character);
    // The next character of the alphabet differs in the lowest bit or more, the one half way round in the highest.
    return [1, 32].map((by) => cursor.slice(0, i) + ALPHABET[(at + by) % 64]! + cursor.slice(i + 1));
  });
  return [
    ...altered,
    '',
    'x',
    cursor.slice(1),
    cursor.slice(0, -1),
    `${cursor}A`,
    `${cursor}=`,
    ` ${cursor}`,
    `${cursor}\n`,
    cursor.toLowerCase(),
    Buffer.from('[1]').toString('base64url'),
    '9'.repeat(10_000),
  ].filter((text) => text !== cursor);
}

describe.each(backends)('Cursors on %s', (backend) => {
  let app: App;
  let owner: Client;
  let roomId: string;
  let other: string;
  /** The first cursor of each list. */
  const cursors: Record<string, string> = {};

  /** Each list as a field of a room, ready for its arguments. */
  const LISTS: Record<string, string> = {
    messages: 'messages(ARGS)',
    members: 'members(ARGS)',
    'files, newest first': 'files(ARGS)',
    'files, oldest first': 'files(ARGS, orderBy: { direction: ASC })',
    'files by name': 'files(ARGS, orderBy: { field: NAME, direction: ASC })',
    'files by name, descending': 'files(ARGS, orderBy: { field: NAME })',
    'files by size': 'files(ARGS, orderBy: { field: SIZE, direction: ASC })',
    texts: 'files(ARGS, filter: { mimeType: "text/*" })',
    'plain texts': 'files(ARGS, filter: { mimeType: "text/plain" })',
    'files with an a': 'files(ARGS, filter: { nameContains: "a" })',
  };

  const askRoom = (id: string, list: string, args: string): Promise<GraphQLAnswer> =>
    owner.ask(
      `query ($id: ID!) { room(id: $id) { list: ${LISTS[list]!.replace('ARGS', args)} { edges { cursor node { id } } eventCursor } } }`,
      { id },
    );

  beforeAll(async () => {
    app = await startParley(backend);
    owner = await signUp(app.url);
    [roomId, other] = [await owner.createRoom(), await owner.createRoom()];
    for (const room of [roomId, other]) {
      for (const name of ['a.txt', 'ab.txt']) {
        await owner.post(room, name);
        await owner.upload(room, name, name);
      }
    }
    for (const list of Object.keys(LISTS)) {
      const { data } = await askRoom(roomId, list, 'first: 1');
      cursors[list] = data['room'].list.edges[0].cursor;
    }
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test.each(Object.keys(LISTS))('of %s lead on from where they were given', async (list) => {
    const { data, errors } = await askRoom(roomId, list, `first: 5, after: "${cursors[list]!}"`);
    expect(errors).toEqual([]);
    const found = data['room'].list.edges.map(({ cursor }: { cursor: string }) => cursor);
    expect(found).not.toContain(cursors[list]);
    const back = await askRoom(roomId, list, `first: 5, before: "${cursors[list]!}"`);
    expect(back.data['room'].list.edges).toEqual([]);
  });

  test.each(['messages', 'members', 'files, newest first', 'files by name', 'rooms'])(
    'of %s are refused once a single character of theirs is another',
    async (list) => {
      let cursor = cursors[list];
      let field = LISTS[list];
      if (list === 'rooms') {
        const { rooms } = await owner.run(`{ rooms(first: 1) { edges { cursor } } }`);
        cursor = rooms.edges[0].cursor as string;
        field = 'rooms(ARGS)';
      }
      for (const side of ['after', 'before']) {
        const forged = forgeries(cursor!);
        // Many at once: as many as a document may have aliases.
        for (let i = 0; i < forged.length; i += 50) {
          const batch = forged.slice(i, i + 50);
          const asked = batch
            .map(
              (text, n) =>
                `f${n}: ${field!.replace('ARGS', `${side}: ${JSON.stringify(text)}`)} { edges { cursor } }`,
            )
            .join(' ');
          const { errors } =
            list === 'rooms'
              ? await owner.ask(`{ ${asked} }`)
              : await owner.ask(`query ($id: ID!) { room(id: $id) { ${asked} } }`, { id: roomId });
          const refused = errors.map(({ path, extensions }) => [
            path?.at(-1),
            extensions['code'],
            extensions['field'],
          ]);
          expect(refused.sort()).toEqual(batch.map((_, n) => [`f${n}`, 'BAD_CURSOR', side]).sort());
        }
      }
    },
  );

  test('of one list are refused by every other list, filter and order of the room', async () => {
    for (const from of Object.keys(LISTS)) {
      const others = Object.keys(LISTS).filter((list) => list !== from);
      const asked = others.map(
        (list, n) => `f${n}: ${LISTS[list]!.replace('ARGS', 'after: $cursor')} { edges { cursor } }`,
      );
      const { data, errors } = await owner.ask(
        `query ($id: ID!, $cursor: String) { room(id: $id) { ${asked.join(' ')} } }`,
        { id: roomId, cursor: cursors[from] },
      );
      expect(errors.map(({ extensions }) => extensions['code'])).toEqual(others.map(() => 'BAD_CURSOR'));
      expect(Object.values(data['room'])).toEqual(others.map(() => null));
    }
  });

  test.each(Object.keys(LISTS))('of %s are refused by the same list of another room', async (list) => {
    const { errors } = await askRoom(other, list, `after: "${cursors[list]!}"`);
    expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_CURSOR', field: 'after' }]);
  });

  test('of rooms belong to their filter', async () => {
    const { rooms } = await owner.run(`{ rooms(first: 1) { edges { cursor } } }`);
    const { cursor } = rooms.edges[0];
    const filtered = (filter: string): string =>
      `query ($after: String) { rooms(after: $after, filter: ${filter}) { edges { cursor } } }`;
    for (const filter of [
      '{ joined: true }',
      '{ joined: false }',
      '{ visibility: PUBLIC }',
      '{ nameContains: "Room" }',
    ]) {
      expect(await owner.refusal(filtered(filter), { after: cursor })).toBe('BAD_CURSOR');
    }
    // A filter that says nothing is the same as none.
    await owner.run(filtered('{ joined: null }'), { after: cursor });
  });

  test('of a log are none of a page', async () => {
    for (const list of Object.keys(LISTS)) {
      const { data } = await askRoom(roomId, list, 'first: 1');
      for (const side of ['after', 'before']) {
        const { errors } = await askRoom(
          roomId,
          list,
          `${side}: "${data['room'].list.eventCursor as string}"`,
        );
        expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_CURSOR', field: side }]);
      }
    }
  });

  test('of a page are none of a log', async () => {
    const client = live(owner);
    const { room } = await owner.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, { id: roomId });
    for (const cursor of Object.values(cursors)) {
      for (const name of ['roomEvents', 'messageAdded', 'fileAdded']) {
        const feed = subscribe(
          client,
          `subscription ($roomId: ID!, $after: String) { ${name}(roomId: $roomId, after: $after) { cursor } }`,
          { roomId, after: cursor },
        );
        await feed.end();
        expect(feed.results).toEqual([]);
        expect(feed.error).toMatchObject([
          { extensions: { code: 'BAD_CURSOR', eventCursor: room.eventCursor } },
        ]);
      }
    }
    await client.dispose();
  });

  test.each([
    ['first: -1', 'first'],
    ['first: 101', 'first'],
    ['last: -1', 'last'],
    ['last: 101', 'last'],
    ['first: 1, last: 1', 'last'],
    ['first: 0, last: 0', 'last'],
    ['first: 2147483647', 'first'],
  ])('and sizes: %s is refused and names the argument', async (args, field) => {
    for (const list of Object.keys(LISTS)) {
      const { data, errors } = await askRoom(roomId, list, args);
      expect(data['room'].list).toBeNull();
      expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field }]);
    }
    const { errors } = await owner.ask(`{ rooms(${args}) { edges { cursor } } }`);
    expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field }]);
  });

  test.each([
    ['page: 0', 'page'],
    ['page: -1', 'page'],
    ['size: 0', 'size'],
    ['size: 101', 'size'],
    ['page: 101, size: 100', 'page'],
    ['page: 2147483647', 'page'],
  ])('and numbered pages: %s is refused and names the argument', async (args, field) => {
    const { errors } = await owner.ask(`query ($id: ID!) { filePage(roomId: $id, ${args}) { total } }`, {
      id: roomId,
    });
    expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field }]);
  });

  test('and sizes: neither first nor last is twenty from the start, and a hundred is the most', async () => {
    const long = await owner.createRoom();
    const bodies = Array.from({ length: 101 }, (_, i) => String(i));
    for (let i = 0; i < bodies.length; i += 50) {
      const posts = bodies
        .slice(i, i + 50)
        .map((body) => `p${body}: postMessage(input: { roomId: $id, body: "${body}" }) { eventCursor }`);
      await owner.run(`mutation ($id: ID!) { ${posts.join(' ')} }`, { id: long });
    }
    const { room } = await owner.run(
      `query ($id: ID!) { room(id: $id) {
        neither: messages { edges { node { body } } }
        none: messages(first: null, last: null, after: null, before: null) { edges { node { body } } }
        zero: messages(first: 0) { edges { node { body } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
        most: messages(last: 100) { totalCount edges { node { body } } pageInfo { hasNextPage hasPreviousPage } } } }`,
      { id: long },
    );
    const bodiesOf = (list: { edges: { node: { body: string } }[] }): string[] =>
      list.edges.map(({ node }) => node.body);
    expect(bodiesOf(room.neither)).toEqual(bodies.slice(0, 20));
    expect(bodiesOf(room.none)).toEqual(bodies.slice(0, 20));
    expect(room.zero).toEqual({
      edges: [],
      pageInfo: { hasNextPage: true, hasPreviousPage: false, startCursor: null, endCursor: null },
    });
    expect(bodiesOf(room.most)).toEqual(bodies.slice(1));
    expect(room.most).toMatchObject({
      totalCount: 101,
      pageInfo: { hasNextPage: false, hasPreviousPage: true },
    });
  });
});

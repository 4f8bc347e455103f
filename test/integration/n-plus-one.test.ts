import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { signUp, word, type Client, type Variables } from '../support/client.js';
import { live, subscribe, type Feed } from '../support/live.js';
import { statementsOf, type Statement } from '../support/statements.js';

const ROWS = 50;

/** Everything that a screen of messages shows, and then some. */
const TIMELINE = `query ($id: ID!, $count: Int!) { room(id: $id) {
  id viewerMembership { role user { handle } }
  messages(last: $count) {
    totalCount eventCursor
    edges { cursor node {
      id body createdAt
      author { id handle name }
      room { id name viewerMembership { role } }
      files { id name url uploader { handle } room { id } }
      replyTo { id body author { handle } files { id name uploader { handle } } replyTo { id author { handle } } }
    } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } } }`;

const FILES = `query ($id: ID!, $count: Int!) { room(id: $id) { files(first: $count) {
  totalCount eventCursor
  edges { cursor node { id name url uploader { handle } room { id viewerMembership { role } } } }
  pageInfo { hasNextPage hasPreviousPage } } } }`;

const MEMBERS = `query ($id: ID!, $count: Int!) { room(id: $id) { members(first: $count) {
  totalCount eventCursor
  edges { cursor node { id role user { handle name } room { id slug viewerMembership { role } } } }
  pageInfo { hasNextPage hasPreviousPage } } } }`;

const ROOMS = `query ($count: Int!) { rooms(first: $count, filter: { joined: true }) {
  edges { cursor node { id slug eventCursor viewerMembership { role user { handle } } } }
  pageInfo { hasNextPage hasPreviousPage } } }`;

const NUMBERED = `query ($id: ID!, $count: Int!) { filePage(roomId: $id, size: $count) {
  total pages items { id name url uploader { handle } room { id } } } }`;

const NODES = `query ($ids: [ID!]!) { nodes(ids: $ids) { id
  ... on Message { body author { handle } room { id } files { id } replyTo { id } } } }`;

/** Without those of sweeps and jobs, which come when they come. */
const foreground = (statements: readonly Statement[]): Statement[] =>
  statements.filter(({ text }) => !/"(upload_leases|jobs)"/.test(text));

describe.each(backends)('SQL statements on %s', (backend) => {
  let app: App;
  let owner: Client;
  let roomId: string;
  const messageIds: string[] = [];

  beforeAll(async () => {
    app = await startParley(backend);
    const users = await Promise.all(Array.from({ length: 10 }, () => signUp(app.url)));
    owner = users[0]!;
    roomId = await owner.createRoom();
    for (const user of users.slice(1)) await user.join(roomId);
    const write = async (author: Client, replyToId?: string): Promise<string> => {
      const { data } = await author.upload(roomId, 'notes.txt', 'some text');
      const more = { fileIds: [data['uploadFile'].file.id], ...(replyToId !== undefined && { replyToId }) };
      return (await author.post(roomId, 'a message', more)).id;
    };
    // Everything on a page answers something that is not on it, by somebody else, and that answers something in turn.
    const root = await write(users[1]!);
    const answered: string[] = [];
    for (const author of users.slice(2, 5)) answered.push(await write(author, root));
    for (let i = 0; i < ROWS; i++) {
      messageIds.push(await write(users[5 + (i % 5)]!, answered[i % answered.length]));
    }
    for (let i = 0; i < 30; i++) await owner.createRoom(i % 2 === 0 ? 'PUBLIC' : 'PRIVATE');
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const statements = async (query: string, variables: Variables): Promise<Statement[]> =>
    foreground(await statementsOf(() => owner.run(query, variables)));

  test.each([
    { name: 'a timeline with authors, files, replies and memberships', query: TIMELINE, most: 14 },
    { name: 'a list of files', query: FILES, most: 5 },
    { name: 'a list of members', query: MEMBERS, most: 5 },
    { name: 'a list of rooms', query: ROOMS, most: 4 },
    { name: 'a numbered page of files', query: NUMBERED, most: 6 },
  ])('of $name are few, and no more for many rows than for few', async ({ query, most }) => {
    const few = await statements(query, { id: roomId, count: 5 });
    const many = await statements(query, { id: roomId, count: ROWS });
    expect(many.map(({ text }) => shape(text)).sort()).toEqual(few.map(({ text }) => shape(text)).sort());
    expect(many.length).toBeGreaterThan(1);
    expect(many.length, many.map(({ text }) => text).join('\n')).toBeLessThanOrEqual(most);
  });

  test('of nodes are no more for fifty ids than for five', async () => {
    const few = await statements(NODES, { ids: messageIds.slice(-5) });
    const many = await statements(NODES, { ids: messageIds });
    expect(many.length).toBeLessThanOrEqual(few.length);
    expect(few.length).toBeLessThanOrEqual(8);
  });

  describe('of a post', () => {
    const POST = `mutation ($input: PostMessageInput!) { postMessage(input: $input) {
      eventCursor message { id body createdAt editedAt deletedAt files { id } replyTo { id } } } }`;

    const ofPost = async (more: Variables): Promise<Statement[]> =>
      statements(POST, { input: { roomId, body: 'a message', ...more } });

    test('are two: what is read to decide, and what is written', async () => {
      expect(await ofPost({})).toHaveLength(2);
    });

    test('are one more each for a key, what it answers and its files, which the answer reads again', async () => {
      expect(await ofPost({ idempotencyKey: word() })).toHaveLength(3);
      expect(await ofPost({ replyToId: messageIds[0] })).toHaveLength(4);
      const { data } = await owner.upload(roomId, 'notes.txt', 'some text');
      expect(await ofPost({ fileIds: [data['uploadFile'].file.id] })).toHaveLength(4);
    });

    test('are far fewer for sixteen at once than sixteen times that', async () => {
      const socket = live(owner, { lazy: false });
      const feeds: Feed[] = [];
      const asked = await statementsOf(async () => {
        for (let i = 0; i < 16; i++)
          feeds.push(subscribe(socket, POST, { input: { roomId, body: `message ${i}` } }));
        await Promise.all(feeds.map((feed) => feed.take(1, 'postMessage')));
      });
      expect(foreground(asked).length).toBeLessThanOrEqual(8);
      await socket.dispose();
    });
  });

  test('that count what matches a filter run only where the count is asked for', async () => {
    const query = (fields: string): string =>
      `query ($id: ID!) { room(id: $id) { files(filter: { nameContains: "1" }) { ${fields} edges { node { id } } } } }`;
    const counting = (all: Statement[]): number => all.filter(({ text }) => /count\(/i.test(text)).length;
    expect(counting(await statements(query('totalCount'), { id: roomId }))).toBe(1);
    expect(counting(await statements(query(''), { id: roomId }))).toBe(0);
  });

  test('that look for more rows run only where the rows do not tell already', async () => {
    const page = (args: string, fields: string): string =>
      `query ($id: ID!${args.includes('$cursor') ? ', $cursor: String' : ''}) {
        room(id: $id) { messages(${args}) { edges { cursor } ${fields} } } }`;
    const flags = 'pageInfo { hasNextPage hasPreviousPage }';
    const { room } = await owner.run(page('first: 5', flags), { id: roomId });
    const cursor = room.messages.edges[4].cursor as string;
    for (const args of [
      'first: 5',
      'last: 5',
      'first: 5, after: $cursor',
      'last: 2, before: $cursor',
      'first: 100',
    ]) {
      const without = await statements(page(args, ''), { id: roomId, cursor });
      const withFlags = await statements(page(args, flags), { id: roomId, cursor });
      expect(withFlags).toHaveLength(without.length);
    }
  });
});

/** A statement without the number of its parameters. */
const shape = (text: string): string =>
  text.replaceAll(/\$\d+(, \$\d+)*/g, '$').replaceAll(/\(\$\)(, \(\$\))*/g, '($)');

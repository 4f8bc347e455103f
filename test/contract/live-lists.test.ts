import type { ApolloClient, TypedDocumentNode } from '@apollo/client';
import type { Client as UrqlClient } from '@urql/core';
import { parse } from 'graphql';
import { Session } from 'parley/client';
import { applyEvent, type RoomEventData } from 'parley/client/apollo';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import * as apollo from './recipes/apollo.js';
import * as urql from './recipes/urql.js';

// As in a browser.
vi.stubGlobal('WebSocket', WebSocket);

type Data = Record<string, any>;
type Document = TypedDocumentNode<Data, Data>;

const PAGE = 'totalCount eventCursor pageInfo { hasPreviousPage hasNextPage startCursor endCursor }';
const list = (field: string, args: string, row: string): Document =>
  parse(`query ($roomId: ID!) {
    room(id: $roomId) { id list: ${field}(${args}) { ${PAGE} edges { node { id ${row} } } } }
  }`);
const files = (args: string): Document => list('files', args, 'name');
const messages = (args: string): Document => list('messages', args, 'body');
const members = (args: string): Document => list('members', args, 'user { id handle }');

/** Libraries make one subscription of two that are the same, so each has a name. */
const feed = (name: string): Document =>
  parse(`subscription ${name}($roomId: ID!, $after: String) {
  roomEvents(roomId: $roomId, after: $after) {
    __typename
    cursor
    ... on MessageAdded { message { id body } }
    ... on FileAdded { fileId file { id name } }
    ... on FileDeleted { fileId }
    ... on MemberJoined { memberId member { id user { id handle } } }
    ... on MemberLeft { memberId }
  }
}`);

/** A client library with its cache, as the recipes make it. */
interface Library {
  /** Shows what a query answers, now and whenever its cache changes. */
  watch(query: Document, variables: Data, show: (data: Data) => void): void;
  /** Asks the server again. */
  again(query: Document, variables: Data): Promise<unknown>;
  follow(feed: Document, variables: Data, heard: (event: RoomEventData) => void): void;
}

const ofApollo = (session: Session): Library => {
  const client: ApolloClient = apollo.connect(session);
  return {
    watch: (query, variables, show) =>
      void client
        .watchQuery({ query, variables })
        .subscribe(({ data, dataState }) => dataState === 'complete' && show(data)),
    again: (query, variables) => client.query({ query, variables, fetchPolicy: 'network-only' }),
    follow: (query, variables, heard) =>
      void client.subscribe({ query, variables }).subscribe(({ data }) => {
        const event = data!['roomEvents'] as RoomEventData;
        applyEvent(client.cache, variables['roomId'] as string, event);
        heard(event);
      }),
  };
};

const ofUrql = (session: Session): Library => {
  const client: UrqlClient = urql.connect(session);
  return {
    watch: (query, variables, show) =>
      void client.query(query, variables).subscribe(({ data, stale }) => data && !stale && show(data)),
    again: (query, variables) =>
      client.query(query, variables, { requestPolicy: 'network-only' }).toPromise(),
    follow: (query, variables, heard) =>
      void client
        .subscription(query, variables)
        .subscribe(({ data }) => data && heard(data['roomEvents'] as RoomEventData)),
  };
};

describe.each([
  ['Apollo Client', ofApollo],
  ['urql', ofUrql],
])('the lists of a room that %s follows', (_name, make) => {
  let app: App;
  let owner: Client;
  let user: Client;
  let roomId: string;
  let library: Library;
  let events: RoomEventData[];
  /** Requests for lists that went out. */
  let requests: number;

  beforeAll(async () => {
    app = await startParley();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  beforeEach(async () => {
    [owner, user] = await Promise.all([signUp(app.url), signUp(app.url)]);
    roomId = await owner.createRoom();
    await user.join(roomId);
    const session = new Session(`${app.url}/graphql`);
    session.set({
      accessToken: user.token!,
      accessTokenExpiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      refreshToken: user.refreshToken,
    });
    requests = 0;
    vi.stubGlobal('fetch', (...args: Parameters<typeof fetch>) => {
      if (new Headers(args[1]?.headers).has('apollo-require-preflight') && !isTest(args[1])) requests++;
      return original(...args);
    });
    library = make(session);
    events = [];
  });
  afterEach(() => vi.stubGlobal('fetch', original));

  /** What a query shows: the count, and its rows by what is most telling of them. */
  class Shown {
    text = 'nothing';
    cursor = '';
    constructor(query: Document, variables: Data = { roomId }) {
      library.watch(query, variables, (data) => {
        const { totalCount, edges, eventCursor } = (data['room']?.list ?? data['list']) as Data;
        this.cursor = eventCursor as string;
        this.text = [
          `${totalCount}:`,
          ...(edges as Data[]).map(({ node }) => node.name ?? node.body ?? node.user.handle),
        ].join(' ');
      });
    }
    is(text: string): Promise<unknown> {
      return eventually(10_000, `${text} to be shown`, () => {
        expect(this.text).toBe(text);
        return true;
      });
    }
  }

  /** Follows the room from where these lists were read. */
  const follow = async (after: string): Promise<void> => {
    const checkpoints = events.filter(({ __typename }) => __typename === 'Checkpoint').length;
    library.follow(feed(`Feed${checkpoints}`), { roomId, after }, (event) => events.push(event));
    await heard('Checkpoint', checkpoints + 1);
  };
  const heard = (typename: string, times = 1): Promise<unknown> =>
    eventually(
      10_000,
      `${typename} to be heard`,
      () => events.filter(({ __typename }) => __typename === typename).length >= times,
    );

  const upload = async (name: string): Promise<string> =>
    (await owner.upload(roomId, name, name)).data['uploadFile'].file.id as string;
  const remove = (fileId: string): Promise<unknown> =>
    owner.run('mutation ($fileId: ID!) { deleteFile(input: { fileId: $fileId }) { deletedFileId } }', {
      fileId,
    });

  test('take a new file in at the start, and let go of one that was deleted, with their count', async () => {
    const first = await upload('first.txt');
    const shown = new Shown(files('first: 10'));
    await shown.is('1: first.txt');
    await follow(shown.cursor);
    const second = await upload('second.txt');
    await shown.is('2: second.txt first.txt');
    await remove(first);
    await shown.is('1: second.txt');
    await remove(second);
    await shown.is('0:');
    expect(requests).toBe(1);
  });

  test('take a new member in at the end, also one who left before, and let go of them, with their count', async () => {
    const shown = new Shown(members('first: 10'));
    await shown.is(`2: ${owner.handle} ${user.handle}`);
    await follow(shown.cursor);
    const guest = await signUp(app.url);
    for (const _ of [1, 2]) {
      await guest.join(roomId);
      await shown.is(`3: ${owner.handle} ${user.handle} ${guest.handle}`);
      await guest.run('mutation ($roomId: ID!) { leaveRoom(input: { roomId: $roomId }) { memberId } }', {
        roomId,
      });
      await shown.is(`2: ${owner.handle} ${user.handle}`);
    }
    expect(requests).toBe(1);
  });

  test('count a new message with the timeline that it comes into', async () => {
    const shown = new Shown(messages('last: 10'));
    await shown.is('0:');
    await follow(shown.cursor);
    await owner.post(roomId, 'one');
    await owner.post(roomId, 'two');
    await shown.is('2: one two');
    expect(requests).toBe(1);
  });

  test('count what comes and goes beyond the pages that are held, once', async () => {
    const oldest = await upload('1.txt');
    for (const name of ['2.txt', '3.txt']) await upload(name);
    await owner.post(roomId, 'one');
    await owner.post(roomId, 'two');
    const newestFiles = new Shown(files('first: 1'));
    const oldestMessages = new Shown(messages('first: 1'));
    const oldestMember = new Shown(members('first: 1'));
    await newestFiles.is('3: 3.txt');
    await oldestMessages.is('2: one');
    await oldestMember.is(`2: ${owner.handle}`);
    await follow(newestFiles.cursor);
    await remove(oldest);
    await owner.post(roomId, 'three');
    await (await signUp(app.url)).join(roomId);
    // Another feed that begins at the same place hears all of it again.
    await heard('MemberJoined');
    await follow(newestFiles.cursor);
    await heard('MemberJoined', 2);
    await newestFiles.is('2: 3.txt');
    await oldestMessages.is('3: one');
    await oldestMember.is(`3: ${owner.handle}`);
    expect(requests).toBe(3);
  });

  test('change by an event once, however often it comes', async () => {
    const first = await upload('first.txt');
    const shown = new Shown(files('first: 10'));
    await shown.is('1: first.txt');
    const begin = shown.cursor;
    await follow(begin);
    await upload('second.txt');
    await remove(first);
    await shown.is('1: second.txt');
    await follow(begin);
    await heard('FileDeleted', 2);
    await shown.is('1: second.txt');
    expect(requests).toBe(1);
  });

  test('take no new file in where a filter or an order decides about its place, and let go of deleted ones', async () => {
    const first = await upload('b.txt');
    await upload('c.txt');
    const byName = new Shown(files('first: 10, orderBy: { field: NAME, direction: ASC }'));
    const byType = new Shown(files('first: 10, filter: { mimeType: "text/*" }'));
    const byDefault = new Shown(files('first: 10, orderBy: { field: CREATED_AT, direction: DESC }'));
    await byName.is('2: b.txt c.txt');
    await byType.is('2: c.txt b.txt');
    await byDefault.is('2: c.txt b.txt');
    await follow(byDefault.cursor);
    await upload('a.txt');
    await byDefault.is('3: a.txt c.txt b.txt');
    await remove(first);
    await byDefault.is('2: a.txt c.txt');
    await byName.is('1: c.txt');
    await byType.is('1: c.txt');
  });

  test('let a deleted file go from the list of all rooms, too', async () => {
    const first = await upload('first.txt');
    await upload('second.txt');
    const room = new Shown(files('first: 10'));
    const ALL: Document = parse(`query ($roomIds: [ID!]) {
      list: files(roomIds: $roomIds, first: 10) { totalCount edges { node { id name } } }
    }`);
    const all = new Shown(ALL, { roomIds: [roomId] });
    await all.is('2: second.txt first.txt');
    await room.is('2: second.txt first.txt');
    await follow(room.cursor);
    await remove(first);
    await all.is('1: second.txt');
  });

  test('have the count of the server again when they are read anew, with what came meanwhile', async () => {
    await upload('first.txt');
    const query = files('first: 10');
    const shown = new Shown(query);
    await shown.is('1: first.txt');
    await follow(shown.cursor);
    await upload('second.txt');
    await shown.is('2: second.txt first.txt');
    await library.again(query, { roomId });
    await shown.is('2: second.txt first.txt');
    const third = await upload('third.txt');
    await shown.is('3: third.txt second.txt first.txt');
    await remove(third);
    await shown.is('2: second.txt first.txt');
    await library.again(query, { roomId });
    await shown.is('2: second.txt first.txt');
  });
});

const original = globalThis.fetch;
/** Uploads of the tests send the header, too. */
const isTest = (init: RequestInit | undefined): boolean => init?.body instanceof FormData;

import { createClient, type Client as SseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { counts } from '../../src/observability/counts.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { Feed, ROOM_EVENTS } from '../support/live.js';

/*
 * PROTOCOL.md of graphql-sse: its own client in the distinct connections mode, each rule of that mode by hand, and what a client is
 * answered that tries the other mode. https://github.com/enisdenjo/graphql-sse (MIT)
 */
describe('GraphQL over server-sent events', () => {
  let app: App;
  let ada: Client;
  let bob: Client;
  let roomId: string;
  let client: SseClient;

  beforeAll(async () => {
    app = await startParley();
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
    roomId = await ada.createRoom();
    await bob.join(roomId);
    client = createClient({ url: `${app.url}/graphql`, headers: bob.headers(), retryAttempts: 0 });
  });
  afterAll(async () => {
    client.dispose();
    await app[Symbol.asyncDispose]();
  });

  const subscribe = (query: string, variables: Record<string, unknown>): Feed =>
    new Feed((feed) =>
      client.subscribe(
        { query, variables },
        {
          next: (result) => feed.results.push(result.errors === undefined ? result.data : result),
          error: (error) => {
            feed.error = error;
          },
          complete: () => {
            feed.completed = true;
          },
        },
      ),
    );

  test('lets its client follow a room from a cursor on, and stop when it likes', async () => {
    const { eventCursor } = await ada.post(roomId, 'seen');
    await ada.post(roomId, 'missed');
    const feed = subscribe(ROOM_EVENTS, { roomId, after: eventCursor });
    expect(await feed.take(2, 'roomEvents')).toMatchObject([
      { __typename: 'MessageAdded', message: { body: 'missed' }, actor: { handle: ada.handle } },
      { __typename: 'Checkpoint' },
    ]);
    await ada.post(roomId, 'live');
    const [, , event] = await feed.take(3, 'roomEvents');
    expect(event).toMatchObject({ __typename: 'MessageAdded', message: { body: 'live' } });
    feed.stop();
    await feed.end();
    expect(feed.error).toBeUndefined();
  });

  test('tells by a last answer without data why a subscription ended', async () => {
    const feed = subscribe(ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    await ada.run(`mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { memberId } }`, {
      input: { roomId, userId: bob.userId },
    });
    await feed.end();
    expect(feed.error).toBeUndefined();
    expect(feed.results.at(-1)).toEqual({
      errors: [expect.objectContaining({ extensions: { code: 'FORBIDDEN' } })],
    });
  });

  test('tells the same way why a subscription cannot begin', async () => {
    const feed = subscribe(ROOM_EVENTS, { roomId, after: 'no cursor' });
    await feed.end();
    expect(feed.results).toMatchObject([{ errors: [{ extensions: { code: 'FORBIDDEN' } }] }]);

    const own = await bob.createRoom();
    const broken = subscribe(ROOM_EVENTS, { roomId: own, after: 'no cursor' });
    await broken.end();
    expect(broken.results).toMatchObject([{ errors: [{ extensions: { code: 'BAD_CURSOR' } }] }]);
  });

  test.each<[what: string, query: string, code: string, headers?: Record<string, string>]>([
    ['does not parse', '{', 'GRAPHQL_PARSE_FAILED'],
    ['is not valid', 'subscription { nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    ['lacks a variable', 'subscription ($id: ID!) { roomEvents(roomId: $id) { cursor } }', 'BAD_USER_INPUT'],
    ['asks for too much', `{ ${'a { '.repeat(20)} b ${'} '.repeat(20)} }`, 'QUERY_TOO_COMPLEX'],
    ['has a bad token', '{ viewer { id } }', 'UNAUTHENTICATED', { authorization: 'Bearer nonsense' }],
    ['names an unknown hash', '', 'PERSISTED_QUERY_NOT_FOUND'],
  ])(
    'tells what %s by one answer and complete, on a stream with status 200',
    async (_what, query, code, more) => {
      const extensions =
        query === '' ? { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } } : undefined;
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: {
          accept: 'text/event-stream',
          'content-type': 'application/json',
          ...(more ?? ada.headers()),
        },
        body: JSON.stringify({ query, extensions }),
      });
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
      const [, data = ''] =
        /^event: next\ndata: (.*)\n\nevent: complete\ndata:\n\n$/.exec(await response.text()) ?? [];
      const { errors } = JSON.parse(data);
      expect(errors[0].extensions.code).toBe(code);
      expect(errors[0].extensions).not.toHaveProperty('http');
    },
  );

  test('tells by a status that the request itself is wrong', async () => {
    for (const [headers, body, status] of [
      [{ 'content-type': 'application/json' }, '{', 400],
      [{ 'content-type': 'text/plain' }, '{}', 403],
      [{ 'content-type': 'application/json; charset=utf-16' }, '{}', 415],
    ] as const) {
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { accept: 'text/event-stream', ...headers },
        body,
      });
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
    }
  });

  test('carries queries too', async () => {
    const feed = subscribe('{ viewer { user { handle } } }', {});
    expect(await feed.take(1, 'viewer')).toEqual([{ user: { handle: bob.handle } }]);
    await feed.end();
    expect(feed.completed).toBe(true);
  });

  const send = (init: RequestInit, search = ''): Promise<Response> =>
    fetch(`${app.url}/graphql${search}`, init);
  const post = (
    query: string,
    headers: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<Response> =>
    send({
      method: 'POST',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ query }),
      ...(signal && { signal }),
    });
  const typeOf = ({ headers }: Response): string | null => headers.get('content-type');
  /** The empty data of `complete` is what makes an EventSource hear of it. */
  const ANSWERED = 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n';

  describe('in the distinct connections mode', () => {
    test.each([
      'text/event-stream',
      'text/event-stream; charset=utf-8',
      'TEXT/Event-Stream',
      'application/json;q=0.5, text/event-stream',
    ])('answers an Accept of %s by a stream that no cache keeps', async (accept) => {
      const response = await post('{ __typename }', { accept });
      expect([response.status, typeOf(response)]).toEqual([200, 'text/event-stream']);
      expect(response.headers.get('cache-control')).toMatch(/^no-cache/);
      expect(await response.text()).toBe(ANSWERED);
    });

    test.each([
      ['application/json', 200],
      ['*/*', 200],
      ['text/event-stream;q=0, */*', 200],
      ['text/event-streams', 406],
      ['text/plain', 406],
    ])('answers an Accept of %s by no stream, with %d', async (accept, status) => {
      const response = await post('{ __typename }', { accept });
      expect([response.status, typeOf(response)]).toEqual([status, expect.stringMatching(/json/)]);
      await response.text();
    });

    test('takes an operation from the address of a GET', async () => {
      const headers = { accept: 'text/event-stream', 'x-graphql-yoga-csrf': '1' };
      const response = await send({ headers }, '?query=%7B__typename%7D');
      expect([response.status, typeOf(response)]).toEqual([200, 'text/event-stream']);
      expect(await response.text()).toBe(ANSWERED);
    });

    test('changes nothing by a GET', async () => {
      const headers = { accept: 'text/event-stream', 'x-graphql-yoga-csrf': '1' };
      const response = await send({ headers }, '?query=mutation%7B__typename%7D');
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
      await response.text();
    });

    test('ends a subscription on the server when its client closes the stream', async () => {
      const roomId = await ada.createRoom();
      const before = counts.subscribers.sse;
      const abort = new AbortController();
      const query = `subscription { roomEvents(roomId: "${roomId}") { cursor } }`;
      const { body } = await post(query, ada.headers(), abort.signal);
      await body!.getReader().read();
      expect(counts.subscribers.sse).toBe(before + 1);
      abort.abort();
      await eventually(5000, 'one subscriber less', () => counts.subscribers.sse === before);
    });
  });

  describe('in the single connection mode, which is not offered,', () => {
    test('reserves nothing by PUT, and says what there is', async () => {
      const response = await send({ method: 'PUT' });
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST']);
      expect(await response.json()).toMatchObject({
        errors: [
          { message: expect.stringContaining('single connection mode'), extensions: { code: 'BAD_REQUEST' } },
        ],
      });
    });

    test('stops nothing by DELETE, and says what there is', async () => {
      const response = await send({ method: 'DELETE' }, '?operationId=1');
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST']);
      expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
    });

    test('answers an operation of a reservation itself, with 200 and never 202', async () => {
      const headers = { 'x-graphql-event-stream-token': 'a token', accept: 'application/json' };
      const response = await post('{ __typename }', headers);
      expect([response.status, await response.json()]).toEqual([200, { data: { __typename: 'Query' } }]);
    });

    test('opens no stream for a reservation alone', async () => {
      const headers = { 'x-graphql-event-stream-token': 'a token', accept: 'text/event-stream' };
      for (const [search, more] of [
        ['', headers],
        ['?token=a-token', { accept: 'text/event-stream' }],
      ] as const) {
        const response = await send({ headers: more }, search);
        const text = await response.text();
        expect([search, text]).toEqual([
          search,
          expect.stringMatching(/"code":"(BAD_REQUEST|UNAUTHENTICATED)"/),
        ]);
      }
    });

    test('leaves the client of graphql-sse with an error', async () => {
      const single = createClient({ url: `${app.url}/graphql`, singleConnection: true, retryAttempts: 0 });
      const feed = new Feed((one) =>
        single.subscribe<object>(
          { query: '{ __typename }' },
          {
            next: (result) => one.results.push(result),
            error: (error) => {
              one.error = error;
            },
            complete: () => {
              one.completed = true;
            },
          },
        ),
      );
      await feed.end();
      expect([feed.results, feed.error]).toEqual([[], expect.any(Error)]);
      single.dispose();
    });
  });
});

import { createClient, type Client as SseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { Feed, ROOM_EVENTS } from '../support/live.js';

/** graphql-sse's own client, in its distinct connections mode. */
describe('the client of graphql-sse', () => {
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

  test('follows a room from a cursor on, and stops when it likes', async () => {
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

  test('is told by a last answer without data why a subscription ended', async () => {
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

  test('is told the same way why a subscription cannot begin', async () => {
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
    'is told what %s by one answer and complete, on a stream with status 200',
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

  test('is told by a status that the request itself is wrong', async () => {
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

  test('asks queries too', async () => {
    const feed = subscribe('{ viewer { user { handle } } }', {});
    expect(await feed.take(1, 'viewer')).toEqual([{ user: { handle: bob.handle } }]);
    await feed.end();
    expect(feed.completed).toBe(true);
  });
});

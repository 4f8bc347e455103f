import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp, type App } from '../../src/app.js';
import { readConfig } from '../../src/config/env.js';
import { environmentOf, makePlace, startParley, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { untilReadiness } from '../support/readiness.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { isMissing, services } from '../support/services.js';
import { withClient } from '../support/services/databases.js';
import { ways, WAYS } from '../support/ways.js';
import { Wire } from '../support/wire.js';

describe.each(ways)('An error over HTTP, the %s way in,', (way) => {
  let app: App;
  let user: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley('embedded');
    user = (await signUp(app.url)).by(way);
    roomId = await user.createRoom();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const post = (body: unknown, accept: string): Promise<Response> =>
    fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': WAYS[way], accept, ...user.headers() },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  test.each([
    ['a syntax error', { query: '{ viewer {' }, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', { query: '{ viewer { nothing } }' }, 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a variable that is not used',
      { query: 'query ($x: Int) { viewer { id } }' },
      'GRAPHQL_VALIDATION_FAILED',
    ],
    [
      'a wrong variable',
      { query: 'query ($id: ID!) { room(id: $id) { id } }', variables: { id: { a: 1 } } },
      'BAD_USER_INPUT',
    ],
    [
      'a variable of very many fields that nobody knows',
      {
        query: 'query ($filter: RoomFilter) { rooms(filter: $filter) { edges { cursor } } }',
        variables: { filter: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, 1])) },
      },
      'BAD_USER_INPUT',
    ],
    [
      'a variable that nests very deep',
      `{"query":"query ($n: Int) { rooms(first: $n) { edges { cursor } } }","variables":{"n":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`,
      'BAD_USER_INPUT',
    ],
    ['no query', { variables: {} }, 'BAD_REQUEST'],
    [
      'an operation that is not there',
      { query: 'query A { viewer { id } }', operationName: 'B' },
      'BAD_REQUEST',
    ],
    [
      'a choice of operations without a name',
      { query: 'query A { viewer { id } } query B { viewer { id } }' },
      'BAD_REQUEST',
    ],
    ['no JSON', '{', 'BAD_REQUEST'],
    ['no JSON object', '[]', 'BAD_REQUEST'],
  ])('that is %s fails the request as a whole', async (_what, body, code) => {
    const response = await post(body, 'application/graphql-response+json');
    expect(response.status).toBe(400);
    const answer = (await response.json()) as { errors: { extensions: { code: string } }[] };
    expect(answer).not.toHaveProperty('data');
    expect(answer.errors.map(({ extensions }) => extensions.code)).toEqual([code]);
  });

  test('that repeats what was sent does so in short', async () => {
    const variables = { id: { text: 'x'.repeat(500_000) } };
    const { errors } = await user.ask('query ($id: ID!) { room(id: $id) { id } }', variables);
    expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field: 'id' }]);
    expect(errors[0]!.message).toMatch(/^Variable "\$id" got invalid value /);
    expect(errors[0]!.message.length).toBeLessThan(1100);
  });

  test('of one field leaves its siblings their answers', async () => {
    const response = await post(
      {
        query:
          'query ($id: ID!) { bad: room(id: "nothing") { id } viewer { id } good: room(id: $id) { id } }',
        variables: { id: roomId },
      },
      'application/graphql-response+json',
    );
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      data: { bad: null, viewer: { id: expect.any(String) }, good: { id: roomId } },
      errors: [{ path: ['bad'], extensions: { code: 'BAD_USER_INPUT', field: 'id' } }],
    });
  });

  test.each([
    ['room', '{ room(id: $id) { id } }', 'id'],
    ['filePage', '{ filePage(roomId: $id) { total } }', 'roomId'],
    ['joinRoom', 'mutation ($id: ID!) { joinRoom(input: { roomId: $id }) { eventCursor } }', 'input.roomId'],
    [
      'leaveRoom',
      'mutation ($id: ID!) { leaveRoom(input: { roomId: $id }) { eventCursor } }',
      'input.roomId',
    ],
    [
      'postMessage',
      'mutation ($id: ID!) { postMessage(input: { roomId: $id, body: "x" }) { eventCursor } }',
      'input.roomId',
    ],
    [
      'setTyping',
      'mutation ($id: ID!) { setTyping(input: { roomId: $id, typing: true }) { expiresAt } }',
      'input.roomId',
    ],
    [
      'editMessage',
      'mutation ($id: ID!) { editMessage(input: { messageId: $id, body: "x" }) { eventCursor } }',
      'input.messageId',
    ],
    [
      'deleteMessage',
      'mutation ($id: ID!) { deleteMessage(input: { messageId: $id }) { eventCursor } }',
      'input.messageId',
    ],
    [
      'deleteFile',
      'mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { eventCursor } }',
      'input.fileId',
    ],
  ])(
    'names the argument of %s that is no id, or the id of something else',
    async (_what, document, field) => {
      const query = document.startsWith('{') ? `query ($id: ID!) ${document}` : document;
      const { data } = await user
        .run('{ viewer { id user { id } } }')
        .then((viewer) => ({ data: viewer['viewer'] }));
      for (const id of [
        '',
        'nothing',
        '1',
        `${roomId}x`,
        roomId.replace('room_', 'msgs_'),
        roomId.toUpperCase(),
        data.id,
        data.user.id,
      ]) {
        const { errors } = await user.ask(query, { id });
        expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field }]);
      }
    },
  );

  const NUL = 'before\0after';
  const HALF = 'before\ud83dafter';
  test.each([
    [
      'input.body',
      'mutation ($room: ID!, $text: String!) { postMessage(input: { roomId: $room, body: $text }) { eventCursor } }',
    ],
    [
      'input.idempotencyKey',
      'mutation ($room: ID!, $text: String!) { postMessage(input: { roomId: $room, body: "x", idempotencyKey: $text }) { eventCursor } }',
    ],
    [
      'input.name',
      'mutation ($text: String!) { createRoom(input: { slug: "of-text", name: $text, visibility: PUBLIC }) { eventCursor } }',
    ],
    [
      'input.topic',
      'mutation ($text: String!) { createRoom(input: { slug: "of-text", name: "x", topic: $text, visibility: PUBLIC }) { eventCursor } }',
    ],
    [
      'input.name',
      'mutation ($text: String!) { signUp(input: { email: "a@example.com", password: "12345678", handle: "someone", name: $text }) { accessToken } }',
    ],
    [
      'input.email',
      'mutation ($text: String!) { signIn(input: { email: $text, password: "12345678" }) { accessToken } }',
    ],
    ['handle', 'query ($text: String!) { userByHandle(handle: $text) { id } }'],
    ['slug', 'query ($text: String!) { roomBySlug(slug: $text) { id } }'],
    [
      'filter.nameContains',
      'query ($text: String!) { rooms(filter: { nameContains: $text }) { edges { cursor } } }',
    ],
    [
      'filter.nameContains',
      'query ($room: ID!, $text: String!) { filePage(roomId: $room, filter: { nameContains: $text }) { total } }',
    ],
  ])('names %s when its text cannot be stored as it came', async (field, query) => {
    for (const text of [NUL, HALF]) {
      const { errors } = await user.ask(query, { room: roomId, text });
      expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', field }]);
    }
  });

  test('is none for text of every script, which comes back as it was sent', async () => {
    const body =
      ' \u{1F469}\u200D\u{1F4BB} \u0000'.replace('\0', '') +
      '\tÅÅ ﬁ \u202Eעברית\u202C\r\n\u{10FFFD}\uFFFF\uFEFF ';
    const { postMessage } = await user.run(
      'mutation ($room: ID!, $body: String!) { postMessage(input: { roomId: $room, body: $body }) { message { body } } }',
      { room: roomId, body },
    );
    expect(postMessage.message.body).toBe(body);
  });
});

/** A server whose log can be read, and whose database can be broken or taken away. */
describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))('A server that is broken', () => {
  let place: Place;
  let wire: Wire;
  let app: App;
  let user: Client;
  let roomId: string;
  const log: Record<string, any>[] = [];

  beforeAll(async () => {
    place = await makePlace('postgres');
    const address = new URL(place.env['DATABASE_URL']!);
    wire = await Wire.to(place.env['DATABASE_URL']!);
    address.host = new URL(wire.url).host;
    const config = readConfig(environmentOf(place, { DATABASE_URL: address.href }));
    app = await createApp(
      config,
      pino({ level: 'info' }, { write: (line: string) => log.push(JSON.parse(line)) }),
    );
    user = await signUp(app.url);
    roomId = await user.createRoom();
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await wire[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const sql = (statement: string): Promise<unknown> =>
    withClient(place.env['DATABASE_URL']!, (client) => client.query(statement));

  test('says nothing of what is broken but a request id, and its log says all under that id', async () => {
    await sql('alter table messages rename to messages_away');
    try {
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...user.headers() },
        body: JSON.stringify({
          query: 'query ($id: ID!) { room(id: $id) { name messages { edges { cursor } } } viewer { id } }',
          variables: { id: roomId },
        }),
      });
      const answer = (await response.json()) as Record<string, any>;
      expect(answer['data']).toMatchObject({
        room: { name: expect.any(String), messages: null },
        viewer: { id: expect.any(String) },
      });
      expect(answer['errors']).toEqual([
        {
          message: 'Something went wrong on the server.',
          path: ['room', 'messages'],
          locations: [expect.anything()],
          extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: response.headers.get('x-request-id') },
        },
      ]);
      const [entry] = log.filter(
        ({ requestId, level }) => requestId === answer['errors'][0].extensions.requestId && level === 50,
      );
      expect(entry).toMatchObject({
        path: ['room', 'messages'],
        err: { message: 'relation "messages" does not exist', stack: expect.any(String), code: '42P01' },
      });
    } finally {
      await sql('alter table messages_away rename to messages');
    }
  });

  test('ends a subscription with the error of an event that it cannot show, which is not passed over', async () => {
    // Several who share it, on a socket and on two: it ends for each of them.
    const [client, other] = [live(user), live(user)];
    const query = ROOM_EVENTS.replace(
      'MessageEdited { message { id body',
      'MessageEdited { message { id body files { name }',
    );
    const { id } = await user.post(roomId, 'can be shown');
    const feeds = [client, client, other].map((one) => subscribe(one, query, { roomId }));
    const [[checkpoint] = []] = await Promise.all(feeds.map((feed) => feed.take(1, 'roomEvents')));
    // Files are shown with a message, and not asked for when its text is changed.
    await sql('alter table message_files rename to message_files_away');
    try {
      await user.run(
        'mutation ($id: ID!) { editMessage(input: { messageId: $id, body: "cannot be shown" }) { eventCursor } }',
        { id },
      );
      for (const feed of feeds) {
        await feed.end();
        expect(feed.codes).toEqual(['INTERNAL_SERVER_ERROR']);
        expect(feed.error).toContainEqual(
          expect.objectContaining({
            message: 'Something went wrong on the server.',
            extensions: { code: 'INTERNAL_SERVER_ERROR', requestId: expect.any(String) },
          }),
        );
        expect(feed.results).toHaveLength(1);
      }
    } finally {
      await sql('alter table message_files_away rename to message_files');
    }
    const again = subscribe(client, query, { roomId, after: checkpoint.cursor });
    const [event] = await again.take(1, 'roomEvents');
    expect(event).toMatchObject({ __typename: 'MessageEdited', message: { id } });
    await client.dispose();
    await other.dispose();
  });

  test('answers UNAVAILABLE while its database is away, and goes on when it is back', async () => {
    const client = live(user);
    const feed = subscribe(client, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    wire.cut();
    const { data, errors } = await user.ask('query ($id: ID!) { room(id: $id) { id } }', { id: roomId });
    expect(data['room']).toBeNull();
    expect(errors).toMatchObject([
      { path: ['room'], extensions: { code: 'UNAVAILABLE', requestId: expect.any(String) } },
    ]);
    expect(errors[0]!.message).not.toMatch(/\d|connect/i);
    expect(
      await user.refusal(
        'mutation ($id: ID!) { postMessage(input: { roomId: $id, body: "lost" }) { eventCursor } }',
        { id: roomId },
      ),
    ).toBe('UNAVAILABLE');
    const credentials = { email: `${user.handle}@example.com`, password: 'correct horse battery staple' };
    const signIn = 'mutation ($input: SignInInput!) { signIn(input: $input) { accessToken } }';
    expect(await new Client(app.url).refusal(signIn, { input: credentials })).toBe('UNAVAILABLE');
    expect((await fetch(`${app.url}/livez`)).status).toBe(200);
    expect(await untilReadiness(app.url, 'down')).toMatchObject({ code: 503, database: 'down', bus: 'ok' });

    wire.mend();
    await untilReadiness(app.url, 'ok');
    const { id } = await user.post(roomId, 'back again');
    const [, event] = await feed.take(2, 'roomEvents');
    expect(event).toMatchObject({ message: { id, body: 'back again' } });
    expect(feed.isOver).toBe(false);
    await client.dispose();
  });

  test('keeps what is secret out of its log', async () => {
    const marks = { password: 'a password not to be logged', token: user.token! };
    await new Client(app.url).ask(
      'mutation ($input: SignInInput!) { signIn(input: $input) { accessToken } }',
      {
        input: { email: `${user.handle}@example.com`, password: marks.password },
      },
    );
    await fetch(`${app.url}/graphql?token=${marks.token}`, { headers: { 'apollo-require-preflight': '1' } });
    await eventually(5000, 'the line of the request', () =>
      log.some(({ msg, path, method }) => msg === 'request' && path === '/graphql' && method === 'GET'),
    );
    const text = JSON.stringify(log);
    for (const mark of Object.values(marks)) expect(text).not.toContain(mark);
    expect(text).not.toContain(user.refreshToken);
  });
});

import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { getIntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { limits } from '../../src/graphql/limits.js';
import { startParley } from '../support/app.js';
import { signUp, type Client, type Variables } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { live, subscribe, type Feed } from '../support/live.js';
import { ways, WAYS } from '../support/ways.js';

/** The codes that an operation is answered with, however it was sent. */
type Ask = (user: Client, query: string, variables?: Variables) => Promise<string[]>;

const overHttp: Ask = async (user, query, variables) =>
  (await user.ask(query, variables)).errors.map(({ extensions }) => String(extensions['code']));

const overHttpTheLongWay: Ask = (user, ...asked) => overHttp(user.by('long'), ...asked);

const overWebSocket: Ask = async (user, query, variables) => {
  const client = live(user);
  const feed = subscribe(client, query, variables);
  await eventually(10_000, 'an answer', () => feed.results.length > 0 || feed.isOver);
  await client.dispose();
  const errors: { extensions: { code: string } }[] = feed.results.flatMap((data) => data?.errors ?? []);
  return [...errors.map(({ extensions }) => extensions.code), ...feed.codes];
};

const times = (count: number, text: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ');

/** A document that nests exactly so many fields. */
function nested(depth: number, leaf = 'id'): string {
  let inner = leaf;
  for (let i = depth - 1; i > 1; i--) inner = `${i % 2 === 0 ? 'viewerMembership' : 'room'} { ${inner} }`;
  return `query ($id: ID!) { room(id: $id) { ${inner} } }`;
}

describe('What one request may ask for', () => {
  let app: App;
  let user: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley('embedded');
    user = await signUp(app.url);
    roomId = await user.createRoom();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  describe.each([
    ['HTTP', overHttp],
    ['HTTP, the long way in', overHttpTheLongWay],
    ['WebSocket', overWebSocket],
  ])('over %s', (_transport, ask) => {
    const REFUSED = ['QUERY_TOO_COMPLEX'];

    test('has an end in depth, which fragments do not hide', async () => {
      expect(await ask(user, nested(limits.depth), { id: roomId })).toEqual([]);
      expect(await ask(user, nested(limits.depth + 1), { id: roomId })).toEqual(REFUSED);
      const fragments = `fragment F on Room { viewerMembership { room { viewerMembership { room { viewerMembership { room { id } } } } } } }`;
      const deep = `${fragments} query ($id: ID!) { room(id: $id) { viewerMembership { room { viewerMembership { room { ...F } } } } } }`;
      expect(await ask(user, deep, { id: roomId })).toEqual([]);
      const deeper = deep.replace(
        'room { ...F }',
        'room { viewerMembership { room { viewerMembership { room { ...F } } } } }',
      );
      expect(await ask(user, deeper, { id: roomId })).toEqual(REFUSED);
    });

    test('has an end in aliases', async () => {
      const aliases = (count: number): string => `{ ${times(count, (i) => `a${i}: viewer { id }`)} }`;
      expect(await ask(user, aliases(limits.aliases))).toEqual([]);
      expect(await ask(user, aliases(limits.aliases + 1))).toEqual(REFUSED);
    });

    test('has an end in tokens', async () => {
      const tokens = (count: number): string => `{ nodes(ids: [${'"x" '.repeat(count - 12)}]) { id } }`;
      // The number of ids is looked at later than that of tokens.
      expect(await ask(user, tokens(limits.tokens))).toEqual(['BAD_USER_INPUT']);
      expect(await ask(user, tokens(limits.tokens + 1))).toEqual(REFUSED);
    });

    test('has an end in directives', async () => {
      const directives = (count: number): string =>
        `query ($yes: Boolean = true) { viewer { ${'id @include(if: $yes) '.repeat(count)} } }`;
      expect(await ask(user, directives(limits.directives))).toEqual([]);
      expect(await ask(user, directives(limits.directives + 1))).toEqual(REFUSED);
    });

    test('has an end in cost, counted by the sizes of pages, also where they are variables', async () => {
      const nestedLists = `query ($first: Int!) { rooms(first: $first) { edges { node { messages(first: $first) { edges { node { id author { handle } } } } } } } }`;
      expect(await ask(user, nestedLists, { first: 50 })).toEqual([]);
      expect(await ask(user, nestedLists, { first: 100 })).toEqual(REFUSED);
      const manyNodes = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Room { messages(first: 100) { edges { node { id author { handle } } } } } } }`;
      expect(await ask(user, manyNodes, { ids: Array.from({ length: 20 }, () => roomId) })).toEqual([]);
      expect(await ask(user, manyNodes, { ids: Array.from({ length: 100 }, () => roomId) })).toEqual(REFUSED);
      const numbered = `query ($id: ID!, $size: Int!) { filePage(roomId: $id, size: $size) { items { room { messages(first: 100) { edges { node { id author { handle } } } } } } } }`;
      expect(await ask(user, numbered, { id: roomId, size: 20 })).toEqual([]);
      expect(await ask(user, numbered, { id: roomId, size: 100 })).toEqual(REFUSED);
      const hidden = `query { rooms(first: 100) { edges { node { ...F } } } } fragment F on Room { members(first: 100) { edges { node { user { id handle } } } } }`;
      expect(await ask(user, hidden)).toEqual(REFUSED);
    });

    test('is enough for the page that a screen shows, and for what tools ask of a schema', async () => {
      const screen = `query ($id: ID!) { room(id: $id) { name topic viewerMembership { role } messages(last: 50) { totalCount eventCursor
        edges { cursor node { id body createdAt editedAt deletedAt author { id handle name }
          files { id name mimeType size url } replyTo { id body author { id handle name } } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`;
      expect(await ask(user, screen, { id: roomId })).toEqual([]);
      expect(
        await ask(
          user,
          getIntrospectionQuery({
            specifiedByUrl: true,
            inputValueDeprecation: true,
            schemaDescription: true,
            directiveIsRepeatable: true,
          }),
        ),
      ).toEqual([]);
    });

    test('takes a hundred ids at once and no more', async () => {
      const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { id } }`;
      expect(await ask(user, query, { ids: Array.from({ length: 100 }, () => roomId) })).toEqual([]);
      expect(await ask(user, query, { ids: Array.from({ length: 101 }, () => roomId) })).toEqual([
        'BAD_USER_INPUT',
      ]);
    });
  });

  test('has an end in the cost of a subscription, which is refused before it begins', async () => {
    const client = live(user);
    const query = (
      size: number,
    ): string => `subscription ($roomId: ID!) { messageAdded(roomId: $roomId) { message {
      files { room { messages(first: ${size}) { edges { node { id body author { id handle name } files { id name } replyTo { id body } } } } } } } } }`;
    const fine = subscribe(client, query(10), { roomId });
    const costly = subscribe(client, query(100), { roomId });
    await costly.end();
    expect(costly.codes).toEqual(['QUERY_TOO_COMPLEX']);
    expect(costly.results).toEqual([]);
    // An event may cost less than an operation that comes once.
    const dear = subscribe(client, query(30), { roomId });
    await dear.end();
    expect(dear.error).toMatchObject([{ message: expect.stringContaining(`${limits.eventComplexity}`) }]);
    expect(
      await overHttp(
        user,
        query(30).replace(
          'subscription ($roomId: ID!) { messageAdded(roomId: $roomId) { message {',
          'query ($roomId: ID!) { node(id: $roomId) { ... on Message {',
        ),
        { roomId },
      ),
    ).toEqual([]);
    await eventually(5000, 'the other one goes on', async () => {
      await user.post(roomId, 'hello');
      return fine.results.length > 0;
    });
    await client.dispose();
  });

  describe.each(ways)('in bytes, the %s way in,', (way) => {
    const post = (body: string): Promise<Response> =>
      fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': WAYS[way], ...user.headers() },
        body,
      });
    /** A JSON body of exactly so many bytes. */
    const bodyOf = (bytes: number): string => {
      const empty = JSON.stringify({ query: '{ viewer { id } }', variables: { fill: '' } });
      return empty.replace('""', `"${'x'.repeat(bytes - empty.length)}"`);
    };

    test('takes a JSON body of a mebibyte and answers 413 to a larger one', async () => {
      const fits = await post(bodyOf(limits.bodyBytes));
      expect(fits.status).toBe(200);
      expect(await fits.json()).toHaveProperty('data.viewer.id');
      const large = await post(bodyOf(limits.bodyBytes + 1));
      expect(large.status).toBe(413);
      expect(await large.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
    });

    test.each([1.1, 1.5, 4])(
      'leaves no connection behind a body of %d times as much on which the next request would wait',
      async (times) => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        const statusOf = async (body: string): Promise<number | undefined> => {
          const sent = request(`${app.url}/graphql`, {
            method: 'POST',
            agent,
            headers: { 'content-type': WAYS[way], 'content-length': Buffer.byteLength(body) },
          });
          sent.end(body);
          const [response] = (await within(5000, 'an answer', once(sent, 'response'))) as [IncomingMessage];
          response.resume();
          await once(response, 'end');
          return response.statusCode;
        };
        expect(await statusOf(bodyOf(Math.round(times * limits.bodyBytes)))).toBe(413);
        expect(await statusOf(bodyOf(1000))).toBe(200);
        agent.destroy();
      },
    );

    test('answers 413 to a body that does not say how long it is, without reading all of it', async () => {
      const sent = request(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': WAYS[way], 'transfer-encoding': 'chunked' },
      });
      sent.on('error', () => undefined);
      const answer = once(sent, 'response');
      // It never ends by itself.
      sent.write(bodyOf(limits.bodyBytes + 1));
      const [response] = (await within(5000, 'an answer', answer)) as [{ statusCode: number }];
      expect(response.statusCode).toBe(413);
      sent.destroy();
    });

    test('answers 408 to a body that does not arrive in half a minute', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        const sent = request(`${app.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': WAYS[way], 'content-length': '1000' },
        });
        sent.on('error', () => undefined);
        let status: number | undefined;
        sent.once('response', (response) => (status = response.statusCode));
        let seconds = 0;
        sent.write('{');
        // A turn for each second, in which the network does its work.
        for (; status === undefined && seconds < 10_000; seconds += 1) {
          await new Promise((resolve) => setImmediate(resolve));
          if (seconds > 1000) vi.advanceTimersByTime(1000);
        }
        expect(status).toBe(408);
        sent.destroy();
      } finally {
        vi.useRealTimers();
      }
      expect((await post(bodyOf(100))).status).toBe(200);
    });
  });

  test('that half a minute is of the body alone: an answer may take longer, also one to a request without a body', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    try {
      const query = 'subscription ($roomId: ID!) { roomEvents(roomId: $roomId) { cursor } }';
      const search = new URLSearchParams({ query, variables: JSON.stringify({ roomId }) });
      const sent = request(`${app.url}/graphql?${search}`, {
        headers: { accept: 'text/event-stream', ...user.headers() },
      });
      let status: number | undefined;
      let isCut = false;
      sent.on('error', () => (isCut = true));
      sent.once('response', (response) => {
        status = response.statusCode;
        response.on('error', () => (isCut = true)).resume();
      });
      sent.end();
      const begun = performance.now();
      while (status === undefined && performance.now() - begun < 5000) await turn();
      expect(status).toBe(200);
      for (let seconds = 0; seconds < 60; seconds += 1) {
        vi.advanceTimersByTime(1000);
        await turn();
      }
      for (let turns = 0; turns < 100; turns += 1) await turn();
      expect(isCut).toBe(false);
      sent.destroy();
    } finally {
      vi.useRealTimers();
    }
  });

  test('has an end in bytes of a frame: closes a socket that sends too large a frame with 1009', async () => {
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    await once(socket, 'open');
    const closed = once(socket, 'close');
    socket.send(
      JSON.stringify({ type: 'connection_init', payload: { fill: 'x'.repeat(limits.frameBytes) } }),
    );
    const [code] = (await within(5000, 'the close', closed)) as [number];
    expect(code).toBe(1009);
  });

  test('is a hundred operations on a socket: one more is refused, and one less makes room', async () => {
    const client = live(user);
    const begin = (): Feed =>
      subscribe(client, `subscription ($roomId: ID!) { roomEvents(roomId: $roomId) { cursor } }`, { roomId });
    const feeds = Array.from({ length: limits.socketOperations }, begin);
    await Promise.all(feeds.map((feed) => feed.take(1, 'roomEvents')));
    const beyond = begin();
    await beyond.end();
    expect(beyond.error).toMatchObject([
      { extensions: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) } },
    ]);

    feeds[0]!.stop();
    await eventually(5000, 'room for another', async () => {
      const another = begin();
      await eventually(2000, 'an answer', () => another.results.length > 0 || another.isOver);
      return another.results.length > 0;
    });
    expect(feeds.filter(({ isOver }) => isOver)).toEqual([feeds[0]]);
    await client.dispose();
  });
});

describe('What a browser may be made to send', () => {
  let app: App;
  let user: Client;

  beforeAll(async () => {
    app = await startParley('embedded', {
      CORS_ORIGINS: 'https://app.example.com, https://admin.example.com',
    });
    user = await signUp(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const QUERY = '{ viewer { id } }';
  const get = (headers: Record<string, string> = {}, query = QUERY): Promise<Response> =>
    fetch(`${app.url}/graphql?query=${encodeURIComponent(query)}`, {
      headers: { accept: 'application/json', ...user.headers(), ...headers },
    });

  const multipart = (headers: Record<string, string> = {}): Promise<Response> => {
    const form = new FormData();
    form.set(
      'operations',
      JSON.stringify({
        query:
          'mutation ($file: Upload!) { uploadFile(input: { roomId: "x", file: $file }) { eventCursor } }',
        variables: { file: null },
      }),
    );
    form.set('map', JSON.stringify({ 0: ['variables.file'] }));
    form.set('0', new Blob(['text']), 'notes.txt');
    return fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { ...user.headers(), ...headers },
      body: form,
    });
  };

  test.each([{}, { 'x-other': '1' }])(
    'is no GET and no upload without a header that makes it ask first: %j',
    async (headers) => {
      expect((await get(headers)).status).toBe(403);
      expect((await multipart(headers)).status).toBe(403);
    },
  );

  test.each(['x-graphql-yoga-csrf', 'apollo-require-preflight'])('is let through with %s', async (header) => {
    const answer = await get({ [header]: '1' });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toHaveProperty('data.viewer.id');
    // It gets as far as the input, which is wrong here.
    expect(await (await multipart({ [header]: '1' })).json()).toMatchObject({
      errors: [{ extensions: { code: 'BAD_USER_INPUT', field: 'input.roomId' } }],
    });
  });

  test('is no mutation by GET, whatever its headers', async () => {
    const answer = await get(
      { 'apollo-require-preflight': '1' },
      'mutation { createRoom(input: { slug: "by-get", name: "By GET", visibility: PUBLIC }) { room { id } } }',
    );
    expect(answer.status).toBe(405);
    expect((await user.run('{ roomBySlug(slug: "by-get") { id } }'))['roomBySlug']).toBeNull();
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/graphql', ''])(
    'is no POST of %s',
    async (type) => {
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: {
          ...user.headers(),
          'apollo-require-preflight': '1',
          ...(type !== '' && { 'content-type': type }),
        },
        body: new Blob([JSON.stringify({ query: QUERY })]),
      });
      expect(response.status).toBe(415);
      expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
    },
  );

  const preflight = (url: string, origin: string): Promise<Response> =>
    fetch(`${url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,authorization',
      },
    });
  const simple = (url: string, origin: string): Promise<Response> =>
    fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { origin, 'content-type': 'application/json' },
      body: JSON.stringify({ query: QUERY }),
    });

  test.each(['https://app.example.com', 'https://admin.example.com'])(
    'may come from %s, which is configured',
    async (origin) => {
      for (const response of [await preflight(app.url, origin), await simple(app.url, origin)]) {
        expect(response.headers.get('access-control-allow-origin')).toBe(origin);
        expect(response.headers.get('access-control-allow-credentials')).toBe('true');
        expect(response.headers.get('vary')?.toLowerCase()).toContain('origin');
      }
      expect(
        (await preflight(app.url, origin)).headers.get('access-control-allow-headers')?.toLowerCase(),
      ).toContain('authorization');
    },
  );

  test.each([
    'https://evil.example.com',
    'https://app.example.com.evil.com',
    'http://app.example.com',
    'null',
  ])('may not come from %s, which is not', async (origin) => {
    for (const response of [await preflight(app.url, origin), await simple(app.url, origin)]) {
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });

  test('may come from nowhere else where no origin is configured, and from anywhere with *', async () => {
    await using closed = await startParley('embedded');
    await using open = await startParley('embedded', { CORS_ORIGINS: '*' });
    for (const response of [
      await preflight(closed.url, 'https://app.example.com'),
      await simple(closed.url, 'https://app.example.com'),
    ]) {
      expect([...response.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
    const anywhere = await simple(open.url, 'https://app.example.com');
    expect(['*', 'https://app.example.com']).toContain(anywhere.headers.get('access-control-allow-origin'));
    expect(anywhere.headers.get('access-control-allow-credentials')).toBeNull();
  });
});

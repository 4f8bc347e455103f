import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { App } from '../../src/app.js';
import type * as plainJson from '../../src/http/plain-json.js';
import { limits } from '../../src/graphql/limits.js';
import { startParley } from '../support/app.js';
import { signUp, word, type Client } from '../support/client.js';
import { sendBy, WAYS, type RawAnswer, type RawRequest, type Way } from '../support/ways.js';

/** For each POST, whether the short way answered it. */
const tookShortWay: boolean[] = [];

vi.mock('../../src/http/plain-json.js', async (original) => {
  const real = await original<typeof plainJson>();
  const answerPlainJson: typeof real.answerPlainJson = async (...args) => {
    const answered = await real.answerPlainJson(...args);
    tookShortWay.push(answered);
    return answered;
  };
  return { ...real, answerPlainJson };
});

const ACCEPTS = [
  undefined,
  '',
  '*/*',
  'application/json',
  'application/graphql-response+json',
  'application/graphql-response+json, application/json;q=0.9',
  'application/json, application/graphql-response+json',
  'APPLICATION/JSON ; charset=UTF-8',
  'application/graphql-response+json; charset=latin1, application/*',
  '*/graphql-response+json',
  'text/html, */json',
  'application/graphql-response+json, application/json, text/event-stream, multipart/mixed',
  'text/event-stream, */*;q=0.1',
  'multipart/mixed',
  'text/event-stream',
  'text/html',
  'application/json; charset=latin1',
  ',',
  'application/json;q=0',
  'application/json;q=0, */*',
  'application/json;q=0.1, application/graphql-response+json;q=0.2',
  'application/json; charset="utf-8"',
  'text/event-stream;q=0.5, application/json;q=0.1',
  'text/plain; a="application/json, */*"',
];

describe('Both ways in of a POST', () => {
  let app: App;
  let user: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley('embedded', {
      CORS_ORIGINS: 'https://app.example.com',
      // Refused for their number, two answers may differ in the second that they tell to wait for.
      SIGN_IN_LIMIT_PER_ACCOUNT: '1000',
      SIGN_IN_LIMIT_PER_ADDRESS: '1000',
    });
    user = await signUp(app.url);
    roomId = await user.createRoom();
  });
  afterAll(() => app[Symbol.asyncDispose]());
  beforeEach(() => {
    tookShortWay.length = 0;
  });

  const send = (way: Way, { headers, ...rest }: RawRequest): Promise<RawAnswer> =>
    sendBy(way, app.url, { ...rest, headers: { ...user.headers(), ...headers } });

  /** What a client can tell of an answer. Ids of requests, and when it was, differ anyhow. */
  const visible = ({ status, headers, body }: RawAnswer) => {
    const { date, 'x-request-id': requestId, ...rest } = headers;
    expect(date).toEqual(expect.any(String));
    expect(requestId).toMatch(/^[\da-f-]{36}$/);
    return { status, headers: rest, body: body.replaceAll(String(requestId), 'the id of the request') };
  };

  async function same(request: RawRequest) {
    const short = visible(await send('short', request));
    expect(short).toEqual(visible(await send('long', request)));
    return short;
  }

  const QUERY = { query: 'query A($id: ID!) { room(id: $id) { id slug } }', variables: { id: '' } };
  const ROOM = (): object => ({ ...QUERY, variables: { id: roomId } });
  const SIGN_IN = `mutation { signIn(input: { email: "nobody@example.com", password: "12345678" }) { accessToken } }`;
  const TWO = 'query A { viewer { id } } query B { viewer { id } }';

  test.each(ACCEPTS)('answer an Accept of %j alike: data, and errors of each kind', async (accept) => {
    const headers: Record<string, string> = accept === undefined ? {} : { accept };
    const bodies = [
      ROOM(),
      QUERY,
      { query: '{ nothing }' },
      { query: '{' },
      { query: TWO },
      { ...QUERY, variables: {} },
      { query: '{ __typename }', operationName: 'B' },
      '{',
    ];
    for (const body of bodies) await same({ headers, body });
    const refused = { ...headers, authorization: 'Bearer nonsense' };
    for (const body of [ROOM(), { query: SIGN_IN }, { query: '{ __typename }' }]) {
      await same({ headers: refused, body });
    }
  });

  test.each<[string, object | string | Buffer]>([
    ['operationName', { query: TWO, operationName: 'A' }],
    ['an unknown operationName', { query: TWO, operationName: 'C' }],
    ['an empty operationName', { query: TWO, operationName: '' }],
    ['operationName: 1', { query: TWO, operationName: 1 }],
    ['operationName: null', { query: '{ __typename }', operationName: null }],
    ['variables: null', { query: '{ __typename }', variables: null }],
    ['variables: []', { query: '{ __typename }', variables: [] }],
    ['variables: text', { query: '{ __typename }', variables: '{}' }],
    ['variables that nobody asks for', { query: '{ __typename }', variables: { a: { b: [1] } } }],
    ['extensions', { query: '{ __typename }', extensions: { persistedQuery: { version: 1 } } }],
    ['extensions: []', { query: '{ __typename }', extensions: [] }],
    ['extensions: 0', { query: '{ __typename }', extensions: 0 }],
    ['a parameter of its own', { query: '{ __typename }', id: 'x' }],
    ['a parameter of its own that is null', { query: '{ __typename }', id: null }],
    ['a parameter named like a prototype', '{"query":"{ __typename }","__proto__":{"a":1}}'],
    ['no query', {}],
    ['query: null', { query: null }],
    ['query: 1', { query: 1 }],
    ['query: []', { query: ['{ __typename }'] }],
    ['an empty query', { query: '' }],
    ['a query of a comment', { query: '# nothing' }],
    ['only a fragment', { query: 'fragment F on Room { id }' }],
    ['a definition of types', { query: 'type A { b: Int }' }],
    ['an empty body', ''],
    ['null', 'null'],
    ['a number', '1'],
    ['a list', '[]'],
    ['a batch', [{ query: '{ __typename }' }, { query: '{ __typename }' }]],
    ['half a body', '{"query":"{ __typename }'],
    ['a byte order mark', '\uFEFF{"query":"{ __typename }"}'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['a name twice', '{"query":"{ nothing }","query":"{ __typename }"}'],
  ])('answer %s alike', async (_what, body) => {
    await same({ body });
    await same({ body, headers: { accept: 'application/graphql-response+json' } });
  });

  test.each<[what: string, query: string, status: number, variables?: object]>([
    ['of a field', '{ room(id: "x") { id } viewer { id } }', 200],
    ['of a field and its siblings', '{ a: room(id: "x") { id } b: room(id: "y") { id } }', 200],
    [
      'of input',
      'mutation { createRoom(input: { slug: "!", name: "x", visibility: PUBLIC }) { eventCursor } }',
      200,
    ],
    [
      'of an enum',
      'query ($a: RoomVisibility) { rooms(filter: { visibility: $a }) { edges { cursor } } }',
      400,
      { a: 'HIDDEN' },
    ],
    ['of a number', 'query ($a: Int) { rooms(first: $a) { edges { cursor } } }', 400, { a: '1' }],
    ['of a large number', 'query ($a: Int) { rooms(first: $a) { edges { cursor } } }', 400, { a: 2 ** 40 }],
    [
      'of an unknown property',
      'query ($a: RoomFilter) { rooms(filter: $a) { edges { cursor } } }',
      400,
      { a: { b: 1 } },
    ],
    ['of a page', '{ rooms(first: 101) { edges { cursor } } }', 200],
    ['of a cursor', '{ rooms(after: "x") { edges { cursor } } }', 200],
    [
      'of cost',
      '{ rooms(first: 100) { edges { node { members(first: 100) { edges { node { user { id handle } } } } } } } }',
      400,
    ],
    ['of depth', `{ ${'a { '.repeat(20)} b ${'} '.repeat(20)} }`, 400],
    ['of tokens', `{ ${'a '.repeat(limits.tokens)} }`, 400],
    ['of directives', `{ viewer { ${'id @skip(if: false) '.repeat(limits.directives + 1)} } }`, 400],
    ['of a subscription', 'subscription { roomEvents(roomId: "x") { cursor } }', 200],
    ['of WebSockets', 'mutation { renewConnection(input: { accessToken: "x" }) { expiresAt } }', 200],
  ])('answer an error %s alike', async (_what, query, status, variables = {}) => {
    const accept = 'application/graphql-response+json';
    const answer = await same({ body: { query, variables }, headers: { accept } });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toHaveProperty('errors.0.extensions.code');
    await same({ body: { query, variables } });
  });

  test('lead to a subscription alike, which plain JSON cannot carry', async () => {
    const body = {
      query: `subscription ($id: ID!) { roomEvents(roomId: $id) { cursor } }`,
      variables: { id: roomId },
    };
    expect((await same({ body, headers: { accept: 'application/json' } })).status).toBe(406);
    const bad = { ...body, variables: { id: 'x' } };
    for (const accept of ['*/*', 'text/event-stream']) await same({ body: bad, headers: { accept } });
    expect(tookShortWay).not.toContain(true);
  });

  test('change things alike', async () => {
    const query = `mutation ($slug: String!) { createRoom(input: { slug: $slug, name: "By both", visibility: PUBLIC }) { room { slug } } }`;
    for (const way of ['short', 'long'] as const) {
      const slug = `room-${word()}`;
      const answer = await send(way, { body: { query, variables: { slug } } });
      expect(JSON.parse(answer.body)).toEqual({ data: { createRoom: { room: { slug } } } });
      expect(answer.status).toBe(200);
      expect((await user.run(`{ roomBySlug(slug: "${slug}") { slug } }`))['roomBySlug']).toEqual({ slug });
    }
  });

  test.each(['https://app.example.com', 'https://evil.example.com', 'null'])(
    'tell a page of %s alike whether it may read',
    async (origin) => {
      await same({ body: ROOM(), headers: { origin } });
      await same({ body: '{', headers: { origin } });
      await same({
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-headers': 'authorization' },
      });
    },
  );

  test('take bodies up to the same size, whether it is told before or not', async () => {
    const padded = (bytes: number): string => {
      const text = JSON.stringify(ROOM());
      return text + ' '.repeat(bytes - text.length);
    };
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }] as Record<string, string>[]) {
      expect((await same({ body: padded(limits.bodyBytes), headers })).status).toBe(200);
    }
    for (const way of ['short', 'long'] as const) {
      const { status, body } = await send(way, { body: padded(limits.bodyBytes + 1) });
      expect({ status, body: JSON.parse(body) }).toMatchObject({
        status: 413,
        body: { errors: [{ extensions: { code: 'BAD_REQUEST' } }] },
      });
    }
  });

  test.each([
    ['an empty operationName', { operationName: '' }],
    ['operationName: null', { operationName: null }],
    ['empty variables', { variables: '' }],
    ['empty extensions', { extensions: '' }],
    ['an empty documentId', { documentId: '' }],
    ['nulls', { operationName: null, variables: null, extensions: null, documentId: null }],
    ['what they do not know', { id: 'x', doc_id: 1, key: {}, operationKind: 'query' }],
  ])('take %s for nothing', async (_what, more) => {
    const answer = await same({ body: { query: '{ __typename }', ...more } });
    expect(answer).toMatchObject({ status: 200, body: '{"data":{"__typename":"Query"}}' });
    const search = new URLSearchParams({ query: '{ __typename }' });
    for (const [name, value] of Object.entries(more))
      search.set(name, value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value));
    const byGet = await fetch(`${app.url}/graphql?${search.toString()}`, {
      headers: { 'x-graphql-yoga-csrf': '1' },
    });
    expect([byGet.status, await byGet.json()]).toEqual([200, { data: { __typename: 'Query' } }]);
  });

  test.each([
    ['a compressed body', { 'content-encoding': 'gzip' }, 415],
    ['a body compressed in another way', { 'content-encoding': 'br' }, 415],
    ['a body that is said to be as it is', { 'content-encoding': 'identity' }, 200],
  ])('answer %s alike', async (_what, headers, status) => {
    const text = JSON.stringify(ROOM());
    const body = headers['content-encoding'] === 'gzip' ? gzipSync(text) : text;
    const answer = await same({ body, headers });
    expect(answer.status).toBe(status);
    if (status === 415) expect(answer.headers['accept-encoding']).toBe('identity');
  });

  test.each([
    ['; charset=utf-8', 200],
    ['; charset="UTF-8"', 200],
    ['; a="b;charset=latin1"; charset=utf8', 200],
    [';charset=us-ascii', 200],
    ['; charset=latin1', 415],
    ['; charset="iso-8859-1"', 415],
    ['; charset=utf-16', 415],
    [' ; Charset=Windows-1252', 415],
  ])('take the charset of a type with %s alike', async (charset, status) => {
    const query = '{ __typename }';
    for (const way of ['short', 'long'] as const) {
      const answer = await send(way, { body: { query }, headers: { 'content-type': WAYS[way] + charset } });
      expect(answer.status).toBe(status);
    }
  });

  test('store nothing damaged: letters in another encoding are refused, a byte order mark is none of the text', async () => {
    const query = `mutation ($name: String!) { createRoom(input: { slug: "room-${word()}", name: $name, visibility: PUBLIC }) { room { name } } }`;
    const text = JSON.stringify({ query, variables: { name: 'Küche' } });
    expect((await same({ body: Buffer.from(text, 'latin1') })).status).toBe(400);
    expect((await same({ body: Buffer.from(`\uFEFF${text}`, 'utf16le') })).status).toBe(400);
    const { body } = await send('short', { body: `\uFEFF${text}` });
    expect(JSON.parse(body).data.createRoom.room.name).toBe('Küche');
  });

  test('tell a client what it can read instead when it takes nothing of that, and do nothing', async () => {
    const slug = `room-${word()}`;
    const query = `mutation { createRoom(input: { slug: "${slug}", name: "Unread", visibility: PUBLIC }) { eventCursor } }`;
    for (const accept of ['text/html', 'application/json;q=0', 'image/*, text/plain', 'multipart/mixed']) {
      const { status, body } = await same({ headers: { accept }, body: { query } });
      expect([status, JSON.parse(body)]).toMatchObject([
        406,
        { errors: [{ extensions: { code: 'BAD_REQUEST' } }] },
      ]);
    }
    expect((await user.run(`{ roomBySlug(slug: "${slug}") { slug } }`))['roomBySlug']).toBeNull();
  });

  test('let no cache keep an answer, and no browser take it for anything else', async () => {
    for (const body of [ROOM(), QUERY, { query: '{ nothing }' }, { query: '{' }, '{', [{}]]) {
      const { headers } = await same({ body });
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    }
  });

  test('ask for a token where one is bad', async () => {
    const { status, headers } = await same({ body: ROOM(), headers: { authorization: 'Bearer nonsense' } });
    expect([status, headers['www-authenticate']]).toEqual([401, 'Bearer']);
  });

  test('answer a batch by a list of errors, one for each', async () => {
    const body = [{ query: '{ __typename }' }, {}, 1];
    const refused = { errors: [expect.objectContaining({ extensions: { code: 'BAD_REQUEST' } })] };
    const old = await same({ body, headers: { accept: 'application/json' } });
    expect([old.status, JSON.parse(old.body)]).toEqual([200, [refused, refused, refused]]);
    const current = await same({ body, headers: { accept: 'application/graphql-response+json' } });
    expect([current.status, JSON.parse(current.body)]).toEqual([400, [refused, refused, refused]]);
    // The answer to one that is too long, or empty, is one error.
    for (const batch of [[], Array.from({ length: 5000 }, () => 1)]) {
      const { status, body: text } = await same({ body: batch });
      expect([status, JSON.parse(text)]).toEqual([400, refused]);
    }
  });

  test('are two: a query and a mutation take the short one, also with errors, and what is refused before does not', async () => {
    for (const body of [ROOM(), QUERY, { query: SIGN_IN }, { ...QUERY, variables: {} }])
      await send('short', { body });
    expect(tookShortWay).toEqual([true, true, true, true]);
    for (const body of [{ query: '{' }, { query: '{ nothing }' }, '{', []]) await send('short', { body });
    await send('short', { body: ROOM(), headers: { accept: 'text/html' } });
    await send('long', { body: ROOM() });
    expect(tookShortWay.slice(4)).toEqual([false, false, false, false, false, false]);
  });
});

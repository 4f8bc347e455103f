import { buildClientSchema, getIntrospectionQuery, printSchema, type IntrospectionQuery } from 'graphql';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { limits } from '../../src/graphql/limits.js';
import { schema } from '../../src/schema.js';
import { startParley } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, subscribe } from '../support/live.js';

const REFUSED = ['QUERY_TOO_COMPLEX'];
const TYPENAME = '{ __typename }';
const ALL_OPTIONS = getIntrospectionQuery({
  descriptions: true,
  specifiedByUrl: true,
  inputValueDeprecation: true,
  schemaDescription: true,
  directiveIsRepeatable: true,
  oneOf: true,
});
const TYPES = `types { name description fields { name description args { name description type { name ofType { name fields { name description } } } } type { name ofType { name fields { name description } } } } }`;

const times = (count: number, text: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => text(i)).join(' ');

interface Asked {
  readonly query?: string;
  readonly variables?: object;
  readonly operationName?: string;
  readonly extensions?: object;
}

interface Answered {
  readonly status?: number;
  readonly data: Record<string, any> | null | undefined;
  readonly codes: string[];
  readonly bytes: number;
}

type Ask = (user: Client, asked: Asked) => Promise<Answered>;

async function answered(response: Response): Promise<Answered> {
  const text = await response.text();
  // An event stream says it in its first event.
  const json = /^data: (\{.*)$/m.exec(text)?.[1] ?? text;
  const { data, errors = [] } = JSON.parse(json) as {
    data?: Record<string, any>;
    errors?: { extensions: { code: string } }[];
  };
  const codes = errors.map(({ extensions }) => extensions.code);
  return { status: response.status, data, codes, bytes: text.length };
}

const post =
  (headers: Record<string, string>): Ask =>
  async (user, asked) =>
    answered(
      await fetch(`${user.url}/graphql`, {
        method: 'POST',
        headers: { ...headers, ...user.headers() },
        body: JSON.stringify(asked),
      }),
    );

const overPost = post({ 'content-type': 'application/json' });

const WAYS_IN: [string, Ask][] = [
  ['a POST of JSON', overPost],
  ['a POST the long way', post({ 'content-type': 'application/graphql+json' })],
  ['an event stream', post({ 'content-type': 'application/json', accept: 'text/event-stream' })],
  [
    'a GET',
    async (user, { query = '', variables = {}, operationName }) => {
      const search = new URLSearchParams({ query, variables: JSON.stringify(variables) });
      if (operationName !== undefined) search.set('operationName', operationName);
      return answered(
        await fetch(`${user.url}/graphql?${search}`, {
          headers: { accept: 'application/json', 'apollo-require-preflight': '1', ...user.headers() },
        }),
      );
    },
  ],
  [
    'a multipart request',
    async (user, asked) => {
      const form = new FormData();
      form.set('operations', JSON.stringify({ ...asked, variables: { ...asked.variables, unused: null } }));
      form.set('map', JSON.stringify({ 0: ['variables.unused'] }));
      form.set('0', new Blob(['x']), 'x.txt');
      return answered(
        await fetch(`${user.url}/graphql`, {
          method: 'POST',
          headers: { 'apollo-require-preflight': '1', ...user.headers() },
          body: form,
        }),
      );
    },
  ],
  [
    'a hash',
    async (user, { query = '', ...asked }) => {
      const sha256Hash = createHash('sha256').update(query).digest('hex');
      const extensions = { persistedQuery: { version: 1, sha256Hash } };
      await overPost(user, { query, ...asked, extensions });
      return overPost(user, { ...asked, extensions });
    },
  ],
  [
    'a WebSocket',
    async (user, { query = '', variables = {}, operationName }) => {
      const client = live(user);
      const feed = subscribe(
        { subscribe: (payload, sink) => client.subscribe({ ...payload, operationName }, sink) },
        query,
        variables as Record<string, unknown>,
      );
      await eventually(10_000, 'an answer', () => feed.results.length > 0 || feed.isOver);
      await client.dispose();
      const [result] = feed.results;
      const errors: { extensions: { code: string } }[] = result?.errors ?? [];
      const codes = [...errors.map(({ extensions }) => extensions.code), ...feed.codes];
      return { data: result, codes, bytes: JSON.stringify(result ?? null).length };
    },
  ],
];

describe('Introspection', () => {
  let app: App;
  let stranger: Client;

  beforeAll(async () => {
    app = await startParley('embedded');
    stranger = new Client(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const codesOf = async (query: string, variables = {}): Promise<string[]> =>
    (await overPost(stranger, { query, variables })).codes;

  describe.each(WAYS_IN)('by %s', (_way, ask) => {
    test('is priced by all that it answers, aliases and fragments counted', async () => {
      for (const query of [
        `{ ${times(60, (i) => `a${i}: __schema { ${TYPES} }`)} }`,
        `{ __schema { ${times(60, (i) => `a${i}: ${TYPES}`)} } }`,
        `query { ...F } fragment F on Query { ${times(60, (i) => `a${i}: __schema { ...S }`)} } fragment S on __Schema { ${TYPES} }`,
      ]) {
        const { codes, bytes } = await ask(stranger, { query });
        expect(codes).toEqual(REFUSED);
        expect(bytes).toBeLessThan(1000);
      }
    });

    test('gives tools all that they ask for, whatever they ask for beside it', async () => {
      const { data, codes } = await ask(stranger, { query: ALL_OPTIONS });
      expect(codes).toEqual([]);
      expect(printSchema(buildClientSchema(data as unknown as IntrospectionQuery))).toBe(printSchema(schema));
    });
  });

  test.each<[string, string, object?]>([
    [
      '__type, aliased',
      `{ ${times(60, (i) => `a${i}: __type(name: "Query") { fields { name description args { name description type { name fields { name } ofType { name } } } type { name fields { name description args { name } } } } }`)} }`,
    ],
    [
      '__type of a variable',
      `query ($n: String!) { ${times(60, (i) => `a${i}: __type(name: $n) { fields { ${times(0, String)} name description isDeprecated args { name description type { name kind } } type { name fields { name description args { name description } } } } }`)} }`,
      { n: 'Query' },
    ],
    [
      'lists within lists',
      '{ __schema { types { possibleTypes { interfaces { name possibleTypes { name fields { name args { name } } } } } fields { type { name fields { name description args { name } } possibleTypes { name fields { name description } } } } } } }',
    ],
    [
      'aliases at every level',
      `{ __schema { types { ${times(12, (i) => `f${i}: fields { ${i < 2 ? times(12, (j) => `t${j}: type { name kind description }`) : 'name'} }`)} } } }`,
    ],
    [
      'lists without aliases, of more than it may',
      '{ __schema { types { fields { args { type { ofType { ofType { name inputFields { name description type { name inputFields { name description } } } } } } } type { ofType { name fields { name description type { ofType { name enumValues { name description } } } args { name description } } } } } } } }',
    ],
    [
      'an operation beside others',
      `query A { __typename } query B { ${times(60, (i) => `a${i}: __schema { ${TYPES} }`)} }`,
    ],
    [
      'conditions',
      `query ($yes: Boolean = true) { ${times(25, (i) => `a${i}: __schema @include(if: $yes) { ${TYPES} }`)} }`,
    ],
  ])('is refused for too much: %s', async (_what, query, variables = {}) => {
    const operationName = query.includes('query B') ? 'B' : undefined;
    const asked = { query, variables, ...(operationName === undefined ? {} : { operationName }) };
    expect((await overPost(stranger, asked)).codes).toEqual(REFUSED);
  });

  test('is looked at for the operation that runs, not for those beside it', async () => {
    const query = `query A { __typename } query B { ${times(60, (i) => `a${i}: __schema { ${TYPES} }`)} }`;
    expect((await overPost(stranger, { query, operationName: 'A' })).codes).toEqual([]);
  });

  test('has an end in depth, as everything else', async () => {
    const ofTypes = (depth: number): string =>
      `{ __schema { types { fields { type ${'{ ofType '.repeat(depth - 5)} { name } ${'}'.repeat(depth - 5)} } } } }`;
    expect(await codesOf(ofTypes(limits.depth))).toEqual([]);
    expect(await codesOf(ofTypes(limits.depth + 1))).toEqual(REFUSED);
    const type = `{ __type(name: "Query") { ${'ofType { '.repeat(limits.depth)} name ${'}'.repeat(limits.depth)} } }`;
    expect(await codesOf(type)).toEqual(REFUSED);
    expect(
      await codesOf('{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }'),
    ).toEqual(REFUSED);
  });

  test('answers what it may with no more than some megabytes', async () => {
    const texts = `{ __schema { types { fields { ${times(50, (i) => `d${i}: description`)} } } } }`;
    const { codes, bytes } = await overPost(stranger, { query: texts });
    expect(codes).toEqual([]);
    expect(bytes).toBeLessThan(4_000_000);
  });

  test('passes within its limits: some types, and the whole schema beside a query', async () => {
    expect(
      await codesOf('{ __type(name: "Room") { name fields { name type { name } } } viewer { id } }'),
    ).toEqual([]);
    expect(await codesOf('query ($n: String!) { __type(name: $n) { name } }', { n: 'No such type' })).toEqual(
      [],
    );
    expect(await codesOf(ALL_OPTIONS.replace('__schema', 'viewer { id } __schema'))).toEqual([]);
  });

  test('of a name that is null is refused as input', async () => {
    expect(await codesOf('query ($n: String = "Room") { __type(name: $n) { name } }', { n: null })).toEqual([
      'BAD_USER_INPUT',
    ]);
  });
});

describe('An operator', () => {
  const ask = async (user: Client, query: string): Promise<Answered> => overPost(user, { query });
  const INTROSPECTIONS = [
    ALL_OPTIONS,
    '{ __type(name: "Room") { name } }',
    '{ a: __schema { queryType { name } } }',
    'query { ...F } fragment F on Query { ... { __schema { queryType { name } } } }',
    'query ($yes: Boolean = true) { __typename __schema @skip(if: $yes) { queryType { name } } }',
  ];

  test('shows the schema to those who are signed in', async () => {
    await using app = await startParley('embedded', { INTROSPECTION: 'signed-in' });
    const [stranger, user] = [new Client(app.url), await signUp(app.url)];
    for (const query of INTROSPECTIONS) {
      const { codes, status } = await ask(stranger, query);
      expect([codes, status]).toEqual([['UNAUTHENTICATED'], 401]);
      expect((await ask(user, query)).codes).toEqual([]);
    }
    expect((await ask(stranger, TYPENAME)).data).toEqual({ __typename: 'Query' });
  });

  describe('shows the schema to no one', () => {
    let app: App;
    let user: Client;
    beforeAll(async () => {
      app = await startParley('embedded', { INTROSPECTION: 'off', GRAPHIQL: 'off' });
      user = await signUp(app.url);
    });
    afterAll(() => app[Symbol.asyncDispose]());

    test.each(WAYS_IN)('by %s, and answers __typename', async (_way, by) => {
      for (const query of INTROSPECTIONS) {
        const { codes, data } = await by(user, { query });
        expect(codes).toEqual(['FORBIDDEN']);
        expect(data?.['__schema']).toBeUndefined();
      }
      expect((await by(user, { query: TYPENAME })).data).toMatchObject({ __typename: 'Query' });
    });

    test('and says where else it is', async () => {
      const { errors, status } = await user.ask(ALL_OPTIONS);
      expect(status).toBe(403);
      expect(errors[0]?.message).toMatch(/schema\.graphql/);
    });

    test('and suggests no names of it', async () => {
      const wrong = [
        '{ viewr { id } }',
        '{ viewer { idd } }',
        '{ room(idd: 1) { id } }',
        '{ rooms(filter: { visibilty: PUBLIC }) { edges { cursor } } }',
        '{ rooms(filter: { visibility: PUBLC }) { edges { cursor } } }',
        'query ($a: RoomFiltr) { rooms(filter: $a) { edges { cursor } } }',
      ];
      for (const query of wrong) {
        for (const [, by] of WAYS_IN.slice(0, 2)) expect((await by(user, { query })).codes).not.toEqual([]);
        expect(JSON.stringify((await user.ask(query)).errors)).not.toContain('Did you mean');
        expect(JSON.stringify((await user.by('long').ask(query)).errors)).not.toContain('Did you mean');
      }
      const { errors } = await user.ask(
        'query ($a: RoomVisibility) { rooms(filter: { visibility: $a }) { edges { cursor } } }',
        { a: 'PUBLC' },
      );
      expect(JSON.stringify(errors)).not.toContain('Did you mean');
    });

    test('and serves no GraphiQL, but says at its address what is there', async () => {
      const html = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };
      for (const path of ['/', '/graphql']) {
        const response = await fetch(`${app.url}${path}`, { ...html, redirect: 'manual' });
        const text = await response.text();
        expect(response.headers.get('content-type')).not.toContain('html');
        expect(text.length).toBeLessThan(1000);
        if (path === '/') {
          expect(response.status).toBe(200);
          expect(text).toContain('/graphql');
        } else {
          expect(response.status).toBe(403);
          expect(JSON.parse(text)).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
        }
      }
      expect((await fetch(`${app.url}/`, { method: 'HEAD' })).status).toBe(200);
    });
  });

  test('refuses values of the two that are none', async () => {
    await expect(startParley('embedded', { INTROSPECTION: 'true' })).rejects.toThrow('on, signed-in or off');
    await expect(startParley('embedded', { GRAPHIQL: 'false' })).rejects.toThrow('on or off');
  });
});

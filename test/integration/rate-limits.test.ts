import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { signUp, word, type Client, type GraphQLAnswer } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, subscribe } from '../support/live.js';
import { WAYS, type Way } from '../support/ways.js';

const LIMITS = {
  OPERATION_LIMIT: '30/50',
  POST_LIMIT: '3/4',
  ROOM_LIMIT: '3/4',
  JOIN_LIMIT: '3/4',
  UPLOAD_LIMIT: '3/4',
  TRUST_PROXY: 'loopback',
  SIGN_UP_LIMIT_PER_ADDRESS: '100000',
};

/** Some address, in a network that no other test counts for. */
const someAddress = (): string => `2001:db8:${word().slice(0, 4)}:${word().slice(0, 4)}::1`;

describe.each(backends)('What one may do in a minute on %s', (backend) => {
  let place: Place;
  let app: App;

  beforeAll(async () => {
    place = await makePlace(backend);
    app = await startOn(place, LIMITS);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  /** Signs up and asks from one address. */
  async function person(address = someAddress(), url = app.url) {
    const handle = `user-${word()}`;
    const ask = async (query: string, variables: object, token?: string, way: Way = 'short') => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': WAYS[way],
          'x-forwarded-for': address,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ query, variables }),
      });
      const { data, errors = [] } = (await response.json()) as Partial<GraphQLAnswer>;
      return {
        data: data!,
        errors,
        status: response.status,
        headers: response.headers,
      };
    };
    const { data } = await ask('mutation ($input: SignUpInput!) { signUp(input: $input) { accessToken } }', {
      input: { email: `${handle}@example.com`, password: 'correct horse battery', handle, name: handle },
    });
    const token = data['signUp'].accessToken as string;
    return {
      token,
      ask: (query: string, variables: object = {}, way?: Way) => ask(query, variables, token, way),
      signedOut: (query: string, way?: Way) => ask(query, {}, undefined, way),
    };
  }

  const codes = ({ errors }: Pick<GraphQLAnswer, 'errors'>): string[] =>
    errors.map(({ extensions }) => String(extensions['code']));

  test.each(['short', 'long'] as const)(
    'counts the operations of a person, by the %s way in',
    async (way) => {
      const ada = await person();
      for (let i = 0; i < 30; i++) expect((await ada.ask('{ __typename }', {}, way)).status).toBe(200);
      const { status, headers, errors, data } = await ada.ask('{ __typename }', {}, way);
      expect({ status, data }).toEqual({ status: 429, data: undefined });
      expect(errors).toMatchObject([
        { extensions: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) } },
      ]);
      const { retryAfter } = errors[0]!.extensions;
      expect(retryAfter).toBeGreaterThan(0);
      expect(retryAfter).toBeLessThanOrEqual(60);
      expect(headers.get('retry-after')).toBe(String(retryAfter));
      // Another person at the same address goes on, and so does whoever is wrong in what they ask.
      expect((await ada.signedOut('{ __typename }', way)).status).toBe(200);
    },
  );

  test('counts operations that are not valid, and those of an address, signed in or not', async () => {
    const address = someAddress();
    const [ada, bob] = [await person(address), await person(address.replace('::1', '::2'))];
    for (let i = 0; i < 24; i++) {
      expect(codes(await ada.ask('{ nothing }'))).toEqual(['GRAPHQL_VALIDATION_FAILED']);
      expect(codes(await bob.signedOut('{ __typename }'))).toEqual([]);
    }
    for (const way of ['short', 'long'] as const) {
      expect(codes(await ada.ask('{ nothing }', {}, way))).toEqual(['RATE_LIMITED']);
      expect(codes(await bob.ask('{ __typename }', {}, way))).toEqual(['RATE_LIMITED']);
      expect(codes(await bob.signedOut('{ __typename }', way))).toEqual(['RATE_LIMITED']);
    }
    const headers = { 'x-forwarded-for': address, 'apollo-require-preflight': '1' };
    expect((await fetch(`${app.url}/graphql?query={__typename}`, { headers })).status).toBe(429);
    const form = new FormData();
    form.set('operations', '{"query":"{ __typename }"}');
    form.set('map', '{}');
    const { status } = await fetch(`${app.url}/graphql`, { method: 'POST', headers, body: form });
    expect(status).toBe(429);
    expect((await fetch(`${app.url}/livez`, { headers })).status).toBe(200);
  });

  test('counts the operations of sockets, each of which is told', async () => {
    const ada: Client = await signUp(app.url);
    const client = live(ada);
    const feeds = Array.from({ length: 32 }, () => subscribe(client, '{ __typename }'));
    await eventually(10_000, 'all answers', () =>
      feeds.every((feed) => feed.isOver || feed.results.length > 0),
    );
    const refused = feeds.flatMap((feed) => feed.codes);
    expect(refused.length).toBeGreaterThanOrEqual(2);
    expect(new Set(refused)).toEqual(new Set(['RATE_LIMITED']));
    await client.dispose();
  });

  test.each([
    ['posts', 'postMessage', 'roomId: $id, body: "x"'],
    ['rooms', 'createRoom', 'slug: "SLUG", name: "x", visibility: PUBLIC'],
    ['joins', 'joinRoom', 'roomId: $id'],
    ['uploads', 'createUpload', 'roomId: $id, name: "x.txt", mimeType: "text/plain", size: 3'],
  ])('counts %s, also many in one request', async (_kind, field, input) => {
    const ada = await person();
    const room = await ada.ask(
      `mutation ($slug: String!) { createRoom(input: { slug: $slug, name: "x", visibility: PUBLIC }) { room { id } } }`,
      { slug: `room-${word()}` },
    );
    const { id } = room.data['createRoom'].room as { id: string };
    const before = field === 'createRoom' ? 1 : 0;
    const aliases = Array.from({ length: 6 }, (_, i) => {
      const own = input.replace('SLUG', `room-${word()}`);
      return `a${String(i)}: ${field}(input: { ${own} }) { __typename }`;
    });
    const variable = input.includes('$id') ? '($id: ID!)' : '';
    const { errors } = await ada.ask(`mutation ${variable} { ${aliases.join('\n')} }`, { id });
    const refused = errors.map(({ extensions }) => extensions).filter(({ code }) => code === 'RATE_LIMITED');
    expect(refused).toEqual(
      Array.from({ length: 3 + before }, () => ({ code: 'RATE_LIMITED', retryAfter: expect.any(Number) })),
    );
  });

  test.skipIf(backend === 'embedded')('is counted by all processes together, but for a tenth', async () => {
    await using second = await startOn(place, LIMITS);
    const ada = await person();
    for (let i = 0; i < 30; i++) await ada.ask('{ __typename }');
    await eventually(10_000, 'the other process knows', async () => {
      const response = await fetch(`${second.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${ada.token}`,
          'x-forwarded-for': someAddress(),
        },
        body: '{"query":"{ __typename }"}',
      });
      return response.status === 429;
    });
  });
});

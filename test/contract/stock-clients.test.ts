import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { Client, fetchExchange, type ClientOptions } from '@urql/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';

const VIEWER = gql`
  {
    viewer {
      id
    }
  }
`;

/** Client libraries with nothing of `parley/client` in them, as their own guides begin. */
describe('a client library as it comes', () => {
  let app: App;
  let url: string;

  beforeAll(async () => {
    app = await startParley();
    url = `${app.url}/graphql`;
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const urql = (options: Partial<ClientOptions> = {}) =>
    new Client({ url, exchanges: [fetchExchange], ...options }).query(VIEWER, {}).toPromise();

  test('is answered: Apollo Client', async () => {
    const client = new ApolloClient({ link: new HttpLink({ uri: url }), cache: new InMemoryCache() });
    expect((await client.query({ query: VIEWER })).data).toEqual({ viewer: null });
  });

  test('is told that there are no batches for each operation of one: Apollo Client', async () => {
    const link = new BatchHttpLink({ uri: url, batchInterval: 5 });
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    const ask = (query: string): Promise<unknown> =>
      client.query({ query: gql(query) }).catch((error: unknown) => error);
    const errors = await Promise.all([ask('{ viewer { id } }'), ask('{ rooms { edges { cursor } } }')]);
    for (const error of errors) {
      expect(CombinedGraphQLErrors.is(error)).toBe(true);
      expect(error).toMatchObject({ errors: [{ extensions: { code: 'BAD_REQUEST' } }] });
    }
  });

  test('is refused while it asks by GET without a header that a form cannot set: urql', async () => {
    const { error, data } = await urql();
    expect(data).toBeUndefined();
    expect((error?.response as Response).status).toBe(403);
  });

  test.each<[string, Partial<ClientOptions>]>([
    ['asks by POST', { preferGetMethod: false }],
    ['sends the header', { fetchOptions: { headers: { 'apollo-require-preflight': 'true' } } }],
  ])('is answered once it %s: urql', async (_what, options) => {
    const { error, data } = await urql(options);
    expect(error).toBeUndefined();
    expect(data).toEqual({ viewer: null });
  });
});

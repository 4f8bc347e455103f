import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client as UrqlClient, fetchExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { persistedExchange } from '@urql/exchange-persisted';
import { OperationTypeNode, type DocumentNode } from 'graphql';
import { createSocket, fragments, Session } from 'parley/client';
import { liveLink, typePolicies } from 'parley/client/apollo';
import { keys, liveExchange, logger, resolvers, updates } from 'parley/client/urql';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { type Client, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { FollowDocument, SayDocument, TimelineDocument } from './generated/graphql.js';

const LIST = fileURLToPath(new URL('generated/persisted-documents.json', import.meta.url));

/** The hash that GraphQL Code Generator left in a document. */
const listed = (document: DocumentNode): string =>
  (document as { readonly __meta__?: { readonly hash: string } }).__meta__?.hash ?? 'none';
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A client library that names documents by their hashes: those of the list, or those of whatever text it would send. */
interface Library {
  timeline(roomId: string): Promise<string[]>;
  say(roomId: string, body: string): Promise<unknown>;
  follow(roomId: string, shown: (typename: string) => void): () => void;
}
type Make = (session: Session, hashes: 'listed' | 'own', sent: Sent) => Library;

/** What went over HTTP and over the socket, as text. */
class Sent {
  readonly requests: string[] = [];
  readonly messages: string[] = [];

  readonly socket = ((sent: string[]) =>
    class extends WebSocket {
      override send(data: string, ...rest: never[]): void {
        if (data.includes('"subscribe"')) sent.push(data);
        super.send(data, ...rest);
      }
    })(this.messages);

  fetch(session: Session): typeof fetch {
    return (input, init) => {
      this.requests.push(`${input as string} ${typeof init?.body === 'string' ? init.body : ''}`);
      return session.fetch(input, init);
    };
  }

  /** Of each request over HTTP, whether it brought a text. */
  get texts(): boolean[] {
    return this.requests.map((request) => /viewer|createdAt|postMessage/.test(request));
  }
}

const apollo: Make = (session, hashes, sent) => {
  const persisted = new PersistedQueryLink(
    hashes === 'listed'
      ? { generateHash: (document) => Promise.resolve(listed(document)) }
      : { sha256: hashOf },
  );
  const client = new ApolloClient({
    cache: new InMemoryCache({ possibleTypes: fragments.possibleTypes, typePolicies }),
    link: persisted.concat(
      ApolloLink.split(
        ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
        liveLink(createSocket(session.url, session, { webSocketImpl: sent.socket })),
        new HttpLink({ uri: session.url, fetch: sent.fetch(session) }),
      ),
    ),
  });
  return {
    timeline: async (roomId) => {
      const { data } = await client.query({ query: TimelineDocument, variables: { roomId, last: 50 } });
      return data?.room?.messages?.edges.map(({ node }) => node.body) ?? [];
    },
    say: (roomId, body) => client.mutate({ mutation: SayDocument, variables: { input: { roomId, body } } }),
    follow: (roomId, shown) => {
      const feed = client
        .subscribe({ query: FollowDocument, variables: { roomId } })
        .subscribe(({ data, error }) => shown(data?.roomEvents.__typename ?? error?.message ?? ''));
      return () => feed.unsubscribe();
    },
  };
};

const urql: Make = (session, hashes, sent) => {
  const client = new UrqlClient({
    url: session.url,
    fetch: sent.fetch(session),
    preferGetMethod: false,
    fetchOptions: { headers: { 'apollo-require-preflight': '1' } },
    exchanges: [
      cacheExchange({ keys, resolvers, updates, logger, possibleTypes: fragments.possibleTypes }),
      persistedExchange({
        enforcePersistedQueries: hashes === 'listed',
        enableForMutation: true,
        enableForSubscriptions: true,
        ...(hashes === 'listed' && {
          generateHash: (_text: string, document: DocumentNode) => Promise.resolve(listed(document)),
        }),
      }),
      fetchExchange,
      liveExchange(createSocket(session.url, session, { webSocketImpl: sent.socket })),
    ],
  });
  return {
    timeline: async (roomId) => {
      const { data, error } = await client.query(TimelineDocument, { roomId, last: 50 });
      if (error !== undefined) throw error;
      return data?.room?.messages?.edges.map(({ node }) => node.body) ?? [];
    },
    say: async (roomId, body) => {
      const { error } = await client.mutation(SayDocument, { input: { roomId, body } });
      if (error !== undefined) throw error;
    },
    follow: (roomId, shown) => {
      const feed = client
        .subscription(FollowDocument, { roomId })
        .subscribe(({ data, error }) => shown(data?.roomEvents.__typename ?? error?.message ?? ''));
      return () => feed.unsubscribe();
    },
  };
};

describe.each([
  ['Apollo Client', apollo],
  ['urql', urql],
])('%s', (_name, make) => {
  let place: Place;
  let user: Client;
  let roomId: string;
  let app: App;
  let sent: Sent;
  let close = (): void => undefined;

  beforeAll(async () => {
    place = await makePlace('embedded');
    app = await startOn(place);
    user = await signUp(app.url);
    roomId = await user.createRoom();
    await app[Symbol.asyncDispose]();
  });
  afterAll(() => place[Symbol.asyncDispose]());
  beforeEach(() => {
    sent = new Sent();
  });
  afterEach(async () => {
    close();
    await app[Symbol.asyncDispose]();
  });

  const session = (): Session => {
    const made = new Session(`${app.url}/graphql`);
    made.set({
      accessToken: user.token!,
      accessTokenExpiresAt: new Date(Date.now() + 600_000).toISOString(),
      refreshToken: user.refreshToken,
    });
    return made;
  };

  async function converse(library: Library): Promise<void> {
    const shown: string[] = [];
    close = library.follow(roomId, (typename) => shown.push(typename));
    await eventually(10_000, 'the checkpoint', () => shown.includes('Checkpoint'));
    await library.say(roomId, 'The soup is ready');
    expect(await library.timeline(roomId)).toContain('The soup is ready');
    await eventually(10_000, 'the message', () => shown.includes('MessageAdded'));
    close();
    expect(shown).toEqual(['Checkpoint', 'MessageAdded']);
  }

  test('talks by hashes alone to a server that runs nothing but its list', async () => {
    app = await startOn(place, { PERSISTED_ONLY: 'true', PERSISTED_DOCUMENTS: LIST });
    await converse(make(session(), 'listed', sent));
    expect(sent.texts).toEqual([false, false]);
    expect(sent.messages).toHaveLength(1);
    expect(JSON.parse(sent.messages[0]!)).toMatchObject({
      payload: { query: '', extensions: { persistedQuery: { sha256Hash: listed(FollowDocument) } } },
    });
  });

  test('sends a text when its hash is not known yet, and no more from then on', async () => {
    app = await startOn(place);
    await converse(make(session(), 'own', sent));
    expect(sent.texts).toEqual([false, true, false, true]);
    expect(sent.messages.map((message) => message.includes('roomEvents'))).toEqual([false, true]);

    sent = new Sent();
    await converse(make(session(), 'own', sent));
    expect(sent.texts).toEqual([false, false]);
    expect(sent.messages.map((message) => message.includes('roomEvents'))).toEqual([false]);
  });
});

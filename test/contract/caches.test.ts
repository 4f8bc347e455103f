import { InMemoryCache } from '@apollo/client';
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { isObjectType } from 'graphql';
import { beforeEach, describe, expect, test } from 'vitest';
import { applyEvent, forgetMessages, typePolicies } from 'parley/client/apollo';
import { fragments } from 'parley/client';
import { keys, logger, resolvers, updates } from 'parley/client/urql';
import { schema } from '../../src/schema.js';
import {
  FollowDocument,
  TimelineDocument,
  type LineFragment,
  type TimelineQuery,
  type TimelineQueryVariables,
} from './generated/graphql.js';

const { possibleTypes } = fragments;
const roomId = 'room';
type List = NonNullable<NonNullable<TimelineQuery['room']>['messages']>;
type Place = Omit<TimelineQueryVariables, 'roomId'>;

function line(number: number): LineFragment & { __typename: 'Message' } {
  return {
    __typename: 'Message',
    id: `m${number}`,
    body: String(number),
    author: { __typename: 'User', id: 'ada', handle: 'ada', name: 'Ada' },
    files: [],
    createdAt: '2026-01-01T00:00:00.000Z',
    editedAt: null,
    deletedAt: null,
  };
}

/** What the server answers for messages `from` to `to`, of which there are `total`, when its log stands at `eventCursor`. */
const page = (from: number, to: number, total: number, eventCursor: string) =>
  ({
    __typename: 'Query',
    room: {
      __typename: 'Room',
      id: roomId,
      name: 'Room',
      messages: {
        __typename: 'MessageConnection',
        edges: Array.from({ length: to - from + 1 }, (_, i) => ({
          __typename: 'MessageEdge' as const,
          node: line(from + i),
        })),
        pageInfo: {
          __typename: 'PageInfo',
          hasPreviousPage: from > 1,
          hasNextPage: to < total,
          startCursor: to < from ? null : `c${from}`,
          endCursor: to < from ? null : `c${to}`,
        },
        eventCursor,
      },
    },
  }) as const;

const added = (number: number) => ({
  __typename: 'MessageAdded' as const,
  cursor: `e${number}`,
  message: line(number),
});

/** A client library's cache, as a front end uses it. */
interface Cache {
  /** Asks for a page; `meanwhile` happens before its answer arrives. */
  receive(place: Place, answer: TimelineQuery, meanwhile?: () => void): Promise<void>;
  /** An event arrives. */
  event(event: ReturnType<typeof added>): void;
  /** The list that a page shows which asked for `place`. */
  list(place: Place): List | undefined;
}

class ApolloCache implements Cache {
  readonly cache = new InMemoryCache({ possibleTypes, typePolicies });

  async receive(place: Place, data: TimelineQuery, meanwhile?: () => void): Promise<void> {
    meanwhile?.();
    this.cache.writeQuery({ query: TimelineDocument, variables: { roomId, ...place }, data });
  }

  event(event: ReturnType<typeof added>): void {
    this.cache.writeQuery({ query: FollowDocument, variables: { roomId }, data: { roomEvents: event } });
    applyEvent(this.cache, roomId, event);
  }

  list(place: Place): List | undefined {
    const data = this.cache.readQuery({ query: TimelineDocument, variables: { roomId, ...place } });
    return data?.room?.messages ?? undefined;
  }
}

class UrqlCache implements Cache {
  private answer: () => TimelineQuery = () => page(1, 0, 0, 'at 0');
  private next: (result: { data: Record<string, unknown> }) => void = () => undefined;
  private readonly client = new Client({
    url: 'http://localhost',
    preferGetMethod: false,
    fetch: async () => Response.json({ data: this.answer() }),
    exchanges: [
      cacheExchange({ keys, resolvers, updates, possibleTypes, logger }),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: () => ({
          subscribe: (sink) => {
            this.next = sink.next;
            return { unsubscribe: () => undefined };
          },
        }),
      }),
    ],
  });

  constructor() {
    this.client.subscription(FollowDocument, { roomId }).subscribe(() => undefined);
  }

  async receive(place: Place, answer: TimelineQuery, meanwhile?: () => void): Promise<void> {
    this.answer = () => {
      meanwhile?.();
      return answer;
    };
    const variables = { roomId, ...place };
    await this.client.query(TimelineDocument, variables, { requestPolicy: 'network-only' }).toPromise();
  }

  event(event: ReturnType<typeof added>): void {
    this.next({ data: { roomEvents: event } });
  }

  list(place: Place): List | undefined {
    const variables = { roomId, ...place };
    const answer = this.client.readQuery(TimelineDocument, variables, { requestPolicy: 'cache-only' });
    return answer?.data?.room?.messages ?? undefined;
  }
}

const newest = { last: 3 };

describe.each([
  ['Apollo Client', () => new ApolloCache()],
  ['urql', () => new UrqlCache()],
])('the list that the cache of %s makes of pages', (_name, make) => {
  let cache: Cache;

  beforeEach(() => {
    cache = make();
  });

  const shown = (place: Place = newest): string =>
    cache
      .list(place)
      ?.edges.map(({ node }) => node.body)
      .join(' ') ?? 'nothing';

  test('holds each row once, in order, whichever way the pages came', async () => {
    await cache.receive(newest, page(7, 9, 9, 'at 9'));
    await cache.receive({ last: 3, before: 'c7' }, page(4, 6, 9, 'at 9'));
    await cache.receive({ last: 3, before: 'c4' }, page(1, 3, 9, 'at 9'));
    expect(shown()).toBe('1 2 3 4 5 6 7 8 9');
    expect(cache.list(newest)!.pageInfo).toMatchObject({
      hasPreviousPage: false,
      hasNextPage: false,
      startCursor: 'c1',
      endCursor: 'c9',
    });

    await cache.receive({ first: 3, after: 'c9' }, page(10, 12, 12, 'at 12'));
    expect(shown()).toBe('1 2 3 4 5 6 7 8 9 10 11 12');
    expect(cache.list(newest)!.pageInfo).toMatchObject({ hasNextPage: false, endCursor: 'c12' });
  });

  test('begins where its first page began, however late the others were read', async () => {
    await cache.receive(newest, page(7, 9, 9, 'at 9'));
    await cache.receive({ last: 3, before: 'c7' }, page(4, 6, 20, 'at 20'));
    await cache.receive({ first: 3, after: 'c9' }, page(10, 12, 20, 'at 21'));
    expect(cache.list(newest)!.eventCursor).toBe('at 9');
  });

  test('takes a live message in at its end, once', async () => {
    await cache.receive(newest, page(7, 9, 9, 'at 9'));
    cache.event(added(10));
    cache.event(added(11));
    cache.event(added(10));
    cache.event(added(8));
    expect(shown()).toBe('7 8 9 10 11');
  });

  test('takes a live message in that comes before any other', async () => {
    await cache.receive(newest, page(1, 0, 0, 'at 0'));
    cache.event(added(1));
    expect(shown()).toBe('1');
  });

  test('leaves a live message out while rows before it are not there yet', async () => {
    const oldest = { first: 3 };
    await cache.receive(oldest, page(1, 3, 5, 'at 5'));
    cache.event(added(6));
    expect(shown(oldest)).toBe('1 2 3');
    await cache.receive({ first: 3, after: 'c3' }, page(4, 6, 6, 'at 6'));
    expect(shown(oldest)).toBe('1 2 3 4 5 6');
    cache.event(added(7));
    expect(shown(oldest)).toBe('1 2 3 4 5 6 7');
  });

  test('has no gap when its newest page is read again after a long time', async () => {
    await cache.receive(newest, page(7, 9, 9, 'at 9'));
    await cache.receive({ last: 3, before: 'c7' }, page(4, 6, 9, 'at 9'));
    await cache.receive(newest, page(48, 50, 50, 'at 50'));
    expect(shown()).toBe('48 49 50');
    expect(cache.list(newest)).toMatchObject({
      eventCursor: 'at 50',
      pageInfo: { hasPreviousPage: true, startCursor: 'c48' },
    });
  });

  test('has no gap when an older page answers after the list began anew', async () => {
    await cache.receive(newest, page(7, 9, 9, 'at 9'));
    await cache.receive(newest, page(48, 50, 50, 'at 50'));
    await cache.receive({ last: 3, before: 'c7' }, page(4, 6, 50, 'at 50'));
    expect(shown()).toBe('48 49 50');
  });

  test('keeps a live message that comes while an answer without it is under way', async () => {
    await cache.receive(newest, page(7, 9, 9, 'at 9'));
    await cache.receive(newest, page(7, 9, 9, 'at 9'), () => cache.event(added(10)));
    expect(shown()).toBe('7 8 9 10');
  });

  test('goes on from its oldest place when its newest page is read again', async () => {
    await cache.receive(newest, page(7, 9, 9, 'at 9'));
    await cache.receive({ last: 3, before: 'c7' }, page(4, 6, 9, 'at 9, too'));
    await cache.receive(newest, page(7, 9, 9, 'at 30'));
    const { edges, eventCursor } = cache.list(newest)!;
    // Either it is the whole list from its first place on, or the page alone from its own.
    expect([edges.length, eventCursor]).toEqual(edges.length === 6 ? [6, 'at 9'] : [3, 'at 30']);
  });
});

describe('the cache of Apollo Client', () => {
  const make = () => new ApolloCache();

  test('lets go of a row that an answer has no longer', async () => {
    const cache = make();
    await cache.receive(newest, page(7, 9, 9, 'at 9'));
    const answer = page(7, 9, 9, 'at 12');
    answer.room.messages.edges.splice(1, 1);
    await cache.receive(newest, answer);
    expect(cache.list(newest)!.edges.map(({ node }) => node.body)).toEqual(['7', '9']);
  });

  test('begins a list anew once it was told to forget it', async () => {
    const cache = make();
    await cache.receive(newest, page(7, 9, 9, 'too old'));
    forgetMessages(cache.cache, roomId);
    expect(cache.list(newest)).toBeUndefined();
    await cache.receive(newest, page(7, 9, 9, 'fresh'));
    expect(cache.list(newest)!.eventCursor).toBe('fresh');
  });
});

test('Graphcache knows how to tell apart every type of the schema that has no id', () => {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  const withoutId = Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .filter((type) => !roots.includes(type) && !type.name.startsWith('__') && !('id' in type.getFields()));
  expect(Object.keys(keys).sort()).toEqual(withoutId.map(({ name }) => name).sort());
});

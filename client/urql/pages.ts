import type { Cache, FieldArgs, Resolver, ResolverConfig } from '@urql/exchange-graphcache';

/** A page of a connection that the cache holds. */
export interface Page {
  readonly key: string;
  readonly args: NonNullable<FieldArgs>;
  readonly startCursor: unknown;
  readonly endCursor: unknown;
  readonly hasPreviousPage: unknown;
  readonly hasNextPage: unknown;
}

/**
 * One list out of all pages that hang together with the one that is asked for, whichever way they were paged
 * to. Rows are merged by id. `eventCursor` is that of the page that the paging began with, the oldest one, so
 * that a subscription that begins there misses nothing of any page.
 */
const connection: Resolver = (_parent, args, cache, { parentKey, fieldName }) => {
  const asked = cache.resolve(parentKey, fieldName, args);
  if (typeof asked !== 'string') return asked;
  const pages = pagesOf(cache, parentKey, fieldName, args);
  const chain = pages.filter(({ key }) => key === asked);
  for (let page = chain[0]; page !== undefined;) {
    page = pages.find((one) => !chain.includes(one) && precedes(one, chain[0]));
    if (page !== undefined) chain.unshift(page);
  }
  for (let page = chain[0]; page !== undefined;) {
    page = pages.find((one) => !chain.includes(one) && precedes(chain.at(-1), one));
    if (page !== undefined) chain.push(page);
  }

  const rows = new Map<unknown, string>();
  for (const { key } of chain) {
    for (const edge of keysIn(cache.resolve(key, 'edges')))
      rows.set(cache.resolve(edge, 'node') ?? edge, edge);
  }
  const begin =
    chain.find((page) => !chain.some((other) => other !== page && leadsTo(other, page))) ?? chain[0];
  const known = (name: 'startCursor' | 'endCursor', from: readonly Page[]): string | null =>
    (from.find((page) => typeof page[name] === 'string')?.[name] as string | undefined) ?? null;
  return {
    __typename: cache.resolve(asked, '__typename') as string,
    edges: [...rows.values()],
    eventCursor: cache.resolve(begin?.key, 'eventCursor') as string,
    pageInfo: {
      __typename: 'PageInfo',
      hasPreviousPage: chain[0]?.hasPreviousPage as boolean,
      hasNextPage: chain.at(-1)?.hasNextPage as boolean,
      startCursor: known('startCursor', chain),
      endCursor: known('endCursor', [...chain].reverse()),
    },
  };
};

/** Whether `first` ends where `second` begins. */
const precedes = (first: Page | undefined, second: Page | undefined): boolean =>
  first !== undefined &&
  second !== undefined &&
  ((first.args['before'] != null && first.args['before'] === second.startCursor) ||
    (second.args['after'] != null && second.args['after'] === first.endCursor));

/** Whether `page` was asked for with a cursor of `from`, and so later. */
const leadsTo = (from: Page, page: Page): boolean =>
  (page.args['before'] != null && page.args['before'] === from.startCursor) ||
  (page.args['after'] != null && page.args['after'] === from.endCursor);

/** The pages of a connection with the same filter and order. */
export const pagesOf = (cache: Cache, parentKey: string, fieldName: string, args: FieldArgs): Page[] =>
  allPages(cache, parentKey, fieldName).filter((page) => listOf(cache, page.args) === listOf(cache, args));

/** All pages of a connection that the cache holds. */
export function allPages(cache: Cache, parentKey: string, fieldName: string): Page[] {
  return cache.inspectFields(parentKey).flatMap((field) => {
    const key = cache.resolve(parentKey, field.fieldKey);
    if (field.fieldName !== fieldName || typeof key !== 'string') return [];
    const info = cache.resolve(key, 'pageInfo') as string;
    return {
      key,
      args: field.arguments ?? {},
      startCursor: cache.resolve(info, 'startCursor'),
      endCursor: cache.resolve(info, 'endCursor'),
      hasPreviousPage: cache.resolve(info, 'hasPreviousPage'),
      hasNextPage: cache.resolve(info, 'hasNextPage'),
    };
  });
}

/** Written by graphcache, to which the order of an input's fields is all the same. */
const listOf = (cache: Cache, args: FieldArgs): string | null =>
  cache.keyOfField('list', {
    roomIds: args?.['roomIds'] ?? null,
    filter: args?.['filter'] ?? null,
    orderBy: args?.['orderBy'] ?? null,
  });

export const keysIn = (value: unknown): string[] => (Array.isArray(value) ? (value as string[]) : []);

/** For `cacheExchange({ resolvers })`. */
export const resolvers: ResolverConfig = {
  Query: { rooms: connection, files: connection },
  Room: { members: connection, messages: connection, files: connection },
};

/** Whether a page was asked for with a cursor. */
export const isPaged = (args: FieldArgs): boolean => (args?.['before'] ?? args?.['after']) != null;

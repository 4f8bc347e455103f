import type { ApolloCache, FieldPolicy, Reference, StoreObject, TypePolicies } from '@apollo/client';

type Edge = StoreObject & { readonly node: Reference };

/** A connection as the cache holds it. Documents select what they like of it. */
interface List {
  readonly edges?: readonly Edge[];
  readonly pageInfo?: PageInfo;
  /** Where the room's log stood before the oldest of these rows was read: `after` of a subscription. */
  readonly eventCursor?: string;
}

interface PageInfo {
  readonly hasNextPage?: boolean;
  readonly hasPreviousPage?: boolean;
  readonly startCursor?: string | null;
  readonly endCursor?: string | null;
}

/** For `new InMemoryCache({ possibleTypes, typePolicies })`. Objects are told apart by `id`, which needs no policy. */
export const typePolicies: TypePolicies = {
  Query: {
    fields: {
      rooms: connection(['filter']),
      files: connection(['roomIds', 'filter', 'orderBy']),
    },
  },
  // An event takes the place of the one before it.
  Subscription: {
    fields: {
      roomEvents: { merge: false },
      messageAdded: { merge: false },
      fileAdded: { merge: false },
      typing: { merge: false },
    },
  },
  Room: {
    fields: {
      members: connection(),
      messages: connection(),
      files: connection(['filter', 'orderBy']),
    },
  },
  // Of one file: what several queries select of it goes together.
  Image: { merge: true },
  Video: { merge: true },
  Audio: { merge: true },
  Pdf: { merge: true },
};

/**
 * One list for all pages of a connection, whichever way they were asked for. Rows are merged by id. `eventCursor` stays the
 * oldest one, so that a subscription that begins there misses nothing of any page. A page that does not touch the list is
 * left out when it was asked for with a cursor (the list has changed since), and begins a new list when not.
 */
export function connection(keyArgs: readonly string[] = []): FieldPolicy<List> {
  return {
    keyArgs: keyArgs.length === 0 ? false : keyArgs,

    read: (list, { canRead }) =>
      list?.edges === undefined ? list : { ...list, edges: list.edges.filter(({ node }) => canRead(node)) },

    merge(_, page, { args, readField, existingData }) {
      // Also on `refetch`, where Apollo hides what is there: a live row must not be lost to an answer that is older than it.
      const list = existingData as List | undefined;
      if (list?.edges === undefined || page.edges === undefined) return { ...list, ...page };
      const idOf = ({ node }: Edge): string => readField<string>('id', node) ?? node.__ref;
      const held = new Map(list.edges.map((edge, index) => [idOf(edge), index]));
      const shared = page.edges.flatMap((edge) => held.get(idOf(edge)) ?? []);

      let before: readonly Edge[];
      let after: readonly Edge[];
      if (shared.length > 0) {
        before = list.edges.slice(0, Math.min(...shared));
        after = list.edges.slice(Math.max(...shared) + 1);
      } else if (args?.['before'] != null) {
        if (args['before'] !== list.pageInfo?.startCursor) return list;
        [before, after] = [[], list.edges];
      } else if (args?.['after'] != null) {
        if (args['after'] !== list.pageInfo?.endCursor) return list;
        [before, after] = [list.edges, []];
      } else if (page.edges.length === 0) {
        [before, after] = [[], list.edges];
      } else {
        return { ...list, ...page };
      }

      const between = page.edges.map((edge) => ({ ...list.edges?.[held.get(idOf(edge)) ?? -1], ...edge }));
      return {
        ...list,
        ...page,
        edges: [...before, ...between, ...after],
        pageInfo: {
          ...list.pageInfo,
          ...page.pageInfo,
          ...(before.length > 0 && startOf(list)),
          ...(after.length > 0 && endOf(list)),
        },
        ...(list.eventCursor !== undefined && { eventCursor: list.eventCursor }),
      };
    },
  };
}

/** What of a PageInfo tells about the start of a list, as far as it is known. */
const startOf = ({ pageInfo }: List): PageInfo => pick(pageInfo, 'hasPreviousPage', 'startCursor');
const endOf = ({ pageInfo }: List): PageInfo => pick(pageInfo, 'hasNextPage', 'endCursor');

function pick(info: PageInfo = {}, ...names: (keyof PageInfo)[]): PageInfo {
  return Object.fromEntries(Object.entries(info).filter(([name]) => names.includes(name as keyof PageInfo)));
}

/** What of an event of `roomEvents` changes the cache. What it shows of messages that are there, Apollo merges by itself. */
export interface RoomEventData {
  readonly __typename?: string;
  readonly message?: { readonly id: string };
  readonly fileId?: string;
  readonly memberId?: string;
}

/**
 * Brings the lists of a room up to date with an event: a new message goes to the end of the timeline, where the cache holds it
 * up to its end; what is gone leaves its lists. Applying an event twice does nothing.
 */
export function applyEvent(cache: ApolloCache, roomId: string, event: RoomEventData): void {
  if (event.__typename === 'MessageAdded') appendMessage(cache, roomId, event.message?.id);
  if (event.__typename === 'FileDeleted') evict(cache, 'File', event.fileId);
  if (event.__typename === 'MemberLeft') evict(cache, 'RoomMember', event.memberId);
}

function appendMessage(cache: ApolloCache, roomId: string, messageId: string | undefined): void {
  const room = cache.identify({ __typename: 'Room', id: roomId });
  const node = cache.identify({ __typename: 'Message', id: messageId });
  if (room === undefined || node === undefined) return;
  cache.modify<{ messages: List }>({
    id: room,
    fields: {
      messages(list) {
        const { edges = [], pageInfo } = list as List;
        if (pageInfo?.hasNextPage === true || edges.some((edge) => edge.node.__ref === node)) return list;
        // Its place in the pages is not known yet, so there is no cursor to page from.
        const edge = { __typename: 'MessageEdge', cursor: '', node: { __ref: node } };
        return { ...list, edges: [...edges, edge] };
      },
    },
  });
}

function evict(cache: ApolloCache, __typename: string, id: string | undefined): void {
  const key = cache.identify({ __typename, id });
  if (key !== undefined) cache.evict({ id: key });
}

/** Forgets the timeline of a room, to begin it anew: after CURSOR_EXPIRED, or before a jump to another place in it. */
export function forgetMessages(cache: ApolloCache, roomId: string): void {
  const room = cache.identify({ __typename: 'Room', id: roomId });
  if (room !== undefined) cache.evict({ id: room, fieldName: 'messages' });
}

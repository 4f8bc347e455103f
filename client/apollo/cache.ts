import type { ApolloCache, FieldPolicy, Reference, StoreObject, TypePolicies } from '@apollo/client';
import { changeOf, isPlain, MESSAGES, type Change, type RoomEventData } from '../lists.js';

export type { RoomEventData };

type Edge = StoreObject & {
  readonly node: Reference;
  /** It came with the answer to a post, and not with the feed yet: its place among others is not known. */
  readonly ahead?: boolean;
};

/** A connection as the cache holds it. Documents select what they like of it. */
interface List {
  readonly edges?: readonly Edge[];
  readonly pageInfo?: PageInfo;
  /** Where the room's log stood before the oldest of these rows was read: `after` of a subscription. */
  readonly eventCursor?: string;
  readonly totalCount?: number;
  /** Rows beyond those of `edges` of which events told, by their ids: whether they are counted. */
  readonly beyond?: Readonly<Record<string, boolean>>;
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
 * oldest one, so that a subscription that begins there misses nothing of any page. `totalCount` is that of the page that was last
 * asked for without a cursor, and moves with events (`applyEvent`). A page that does not touch the list is left out when it was
 * asked for with a cursor (the list has changed since), and begins a new list when not.
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
        return { ...list, beyond: {}, ...page };
      }

      const between = page.edges.map((edge) => ({
        ...settled(list.edges?.[held.get(idOf(edge)) ?? -1]),
        ...edge,
      }));
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
        ...countOf(list, page, args, newer(page, before, after)),
      };
    },
  };
}

/** The edge, whose place is known now. */
function settled(edge: Edge | undefined): Omit<Edge, 'ahead'> | undefined {
  if (edge === undefined) return undefined;
  const { ahead: _, ...rest } = edge;
  return rest;
}

/** How many rows of the list are newer than a page that went to its end: live ones that came while the answer was under way. */
const newer = ({ pageInfo }: List, before: readonly Edge[], after: readonly Edge[]): number =>
  (pageInfo?.hasPreviousPage === false ? before.length : 0) +
  (pageInfo?.hasNextPage === false ? after.length : 0);

/** What is paged to later has counted what the feed may still tell of. */
function countOf(list: List, page: List, args: Record<string, unknown> | null, live: number): Partial<List> {
  const isPaged = (args?.['before'] ?? args?.['after']) != null;
  if (isPaged && list.totalCount !== undefined) return { totalCount: list.totalCount };
  return page.totalCount === undefined ? {} : { totalCount: page.totalCount + live };
}

/** What of a PageInfo tells about the start of a list, as far as it is known. */
const startOf = ({ pageInfo }: List): PageInfo => pick(pageInfo, 'hasPreviousPage', 'startCursor');
const endOf = ({ pageInfo }: List): PageInfo => pick(pageInfo, 'hasNextPage', 'endCursor');

function pick(info: PageInfo = {}, ...names: (keyof PageInfo)[]): PageInfo {
  return Object.fromEntries(Object.entries(info).filter(([name]) => names.includes(name as keyof PageInfo)));
}

/**
 * Brings the lists of a room up to date with an event. What it shows of rows that are there, Apollo merges by itself.
 *
 * - A new message goes to the end of `Room.messages`, a new member to the end of `Room.members`, and a new file to the start of
 *   `Room.files`: of lists that the cache holds up to there, and of files of those without a filter and in the default order.
 *   Elsewhere (another order, a filter, `Query.files`) only the server knows its place: read such a list again.
 * - A file that was deleted and a member who left leave every list that holds them, whatever its filter and order.
 * - `totalCount` moves along, also with rows beyond the pages that are held. With a filter, and in `Query.files`, it does with the
 *   rows that leave and were held. Where the room changes in the moment in which a page is read, it may be off until the next read.
 *
 * The document selects the rows' ids: `message { id }`, `fileId` and `file { id }`, `memberId` and `member { id }`, and whatever else
 * the lists show of them. Applying an event twice does nothing.
 * A message that `showPosted` has brought in goes to its place when its event comes.
 */
export function applyEvent(cache: ApolloCache, roomId: string, event: RoomEventData): void {
  const change = changeOf(event);
  const room = cache.identify({ __typename: 'Room', id: roomId });
  const node = change && cache.identify({ __typename: change.type, id: change.id });
  if (change === undefined || room === undefined || node === undefined) return;
  const apply = (list: List | null, storeFieldName: string, isWhole: boolean): List | null => {
    if (list === null) return list;
    const isKnown = isWhole && isPlain(argsOf(storeFieldName));
    if (change.row === 'gone') return without(list, node, isKnown);
    return isKnown ? including(list, node, change) : list;
  };
  // Whoever watches several of these lists is told once.
  cache.batch({
    update: () => {
      cache.modify<Record<string, List | null>>({
        id: room,
        fields: {
          [change.field]: (list, { storeFieldName }) => apply(list as List | null, storeFieldName, true),
        },
      });
      if (change.row !== 'gone') return;
      if (change.type === 'File')
        cache.modify<Record<string, List | null>>({
          fields: { files: (list, { storeFieldName }) => apply(list as List | null, storeFieldName, false) },
        });
      cache.evict({ id: node });
    },
  });
}

/** The arguments by which the cache tells lists apart: `files:{"filter":…}`. */
const argsOf = (storeFieldName: string): Record<string, unknown> => {
  const begin = storeFieldName.indexOf('{');
  return begin < 0 ? {} : (JSON.parse(storeFieldName.slice(begin)) as Record<string, unknown>);
};

function including(list: List, node: string, { type, end, row }: Change): List {
  const { edges, pageInfo, beyond = {} } = list;
  const present = edges?.find((edge) => edge.node.__ref === node);
  if (edges !== undefined && present !== undefined)
    return present.ahead === true ? { ...list, edges: inPlace(edges, present) } : list;
  const counted = beyond[node] === true ? list : count(list, 1);
  const isCut = end === 'end' ? pageInfo?.hasNextPage : pageInfo?.hasPreviousPage;
  // Without `pageInfo`: timelines and files are read from where they grow, members from the other end.
  const isOpen = isCut ?? (type === 'RoomMember' && list.totalCount !== edges?.length);
  if (edges === undefined || isOpen || row !== 'shown')
    return { ...counted, beyond: { ...beyond, [node]: true } };
  // Its place in the pages is not known yet, so there is no cursor to page from.
  const edge = { __typename: `${type}Edge`, cursor: '', node: { __ref: node } };
  return { ...counted, edges: end === 'end' ? [...edges, edge] : [edge, ...edges] };
}

/** Events come in the order of the room: what `showPosted` brought in goes behind all that came before it. */
function inPlace(edges: readonly Edge[], edge: Edge): Edge[] {
  const others = edges.filter((other) => other !== edge);
  // Other posts that are ahead are younger.
  const isAhead = ({ ahead }: Edge): boolean => ahead === true;
  return [...others.filter((other) => !isAhead(other)), settled(edge) as Edge, ...others.filter(isAhead)];
}

/**
 * Shows a message at once that was posted here: at the end of the timeline, where the cache holds it up to
 * there. To be called in `update` of the mutation, with what `postMessage` answers; the document selects the
 * message's `id` and `createdAt`. Where a later message is held it is there already, or belongs to an earlier
 * page, as with a post that was repeated long after.
 */
export function showPosted(cache: ApolloCache, roomId: string, message: { readonly id: string }): void {
  const room = cache.identify({ __typename: 'Room', id: roomId });
  const node = cache.identify({ __typename: 'Message', id: message.id });
  if (room === undefined || node === undefined) return;
  cache.modify<Record<string, List | null>>({
    id: room,
    fields: {
      messages: (value, { readField }) => {
        const list = value as List | null;
        if (list?.edges?.some((edge) => edge.node.__ref === node) !== false) return list;
        const lastAt = readField<string>('createdAt', list.edges.at(-1)?.node);
        const postedAt = readField<string>('createdAt', { __ref: node });
        if (lastAt !== undefined && postedAt !== undefined && lastAt > postedAt) return list;
        const change = { ...MESSAGES, id: message.id, row: 'shown' } as const;
        const { edges, ...rest } = including(list, node, change);
        const ahead = edges?.map((edge) => (edge.node.__ref === node ? { ...edge, ahead: true } : edge));
        // Where the list is not held up to its end the feed counts the message.
        return ahead?.length === list.edges.length ? list : { ...rest, ...(ahead && { edges: ahead }) };
      },
    },
  });
}

/** `isKnown`: whether a row that the cache does not hold was in the list. */
function without(list: List, node: string, isKnown: boolean): List {
  const { beyond = {} } = list;
  const edges = list.edges?.filter((edge) => edge.node.__ref !== node);
  const wasHeld = edges?.length !== list.edges?.length;
  if (!wasHeld && (!isKnown || beyond[node] === false)) return list;
  return { ...count(list, -1), ...(edges && { edges }), beyond: { ...beyond, [node]: false } };
}

const count = (list: List, by: number): List =>
  list.totalCount === undefined ? list : { ...list, totalCount: list.totalCount + by };

/** Forgets the timeline of a room, to begin it anew: after CURSOR_EXPIRED, or before a jump to another place in it. */
export function forgetMessages(cache: ApolloCache, roomId: string): void {
  const room = cache.identify({ __typename: 'Room', id: roomId });
  if (room !== undefined) cache.evict({ id: room, fieldName: 'messages' });
}

import { gql } from '@urql/core';
import type { Cache, UpdateResolver, UpdatesConfig } from '@urql/exchange-graphcache';
import { changeOf, isPlain, MESSAGES, type Change, type RoomEventData } from '../lists.js';
import { count, COUNTED, isMarked, mark, UNCOUNTED } from './counts.js';
import { allPages, isPaged, keysIn, pagesOf, type Page } from './pages.js';

/**
 * The nodes of a page as they were when the last live one was added: what an answer overwrites. Graphcache
 * keeps it like a field.
 */
const HELD = 'parleyHeld';
/** Nodes of a page that came with the answer to a post, and not with the feed yet: their place is not known. */
const AHEAD = 'parleyAhead';

/**
 * A list that is read anew from where it began has other pages than it had. Live rows that came while the
 * answer was under way stay where they came in.
 */
const beginAnew: UpdateResolver = (result, args, cache, { parentKey, fieldName }) => {
  // What events count is written by the same way, and is no page.
  if ((result[fieldName] as { readonly edges?: unknown } | null)?.edges === undefined) return;
  if (isPaged(args)) return;
  const pages = pagesOf(cache, parentKey, fieldName, args);
  for (const page of pages) if (isPaged(page.args)) cache.invalidate(parentKey, fieldName, page.args);
  const page = pages.find(({ key }) => key === cache.resolve(parentKey, fieldName, args));
  if (page === undefined) return;
  for (const field of [COUNTED, UNCOUNTED]) cache.link(page.key, field, []);
  const edges = keysIn(cache.resolve(page.key, 'edges'));
  const nodes = edges.map((edge) => cache.resolve(edge, 'node'));
  const held = keysIn(cache.resolve(page.key, HELD));
  const isShared = (node: string): boolean => nodes.includes(node);
  const ahead = keysIn(cache.resolve(page.key, AHEAD));
  cache.link(
    page.key,
    AHEAD,
    ahead.filter((node) => !isShared(node)),
  );
  if (!held.some(isShared) && edges.length > 0) return;
  const isFiles = fieldName === 'files';
  const first = held.findIndex(isShared);
  const newer = isFiles
    ? held.slice(0, first < 0 ? held.length : first)
    : held.slice(held.findLastIndex(isShared) + 1);
  const live = newer.map(liveEdge).filter((edge) => cache.resolve(edge, 'node') != null);
  if (live.length === 0) return;
  cache.link(page.key, 'edges', isFiles ? [...live, ...edges] : [...edges, ...live]);
  if ((isFiles ? page.hasPreviousPage : page.hasNextPage) === false)
    count(cache, parentKey, fieldName, page, live.length);
};

/** The key of the edge of a live row, after that of its node. */
const liveEdge = (node: string): string => node.replace(':', 'Edge:');

/**
 * Brings the lists of a room up to date with an event.
 *
 * - A new message goes to the end of `Room.messages`, a new member to the end of `Room.members`, and a new
 *   file to the start of `Room.files`: of pages that reach up to there, and of files of those without a filter
 *   and in the default order. Elsewhere (another order, a filter, `Query.files`) only the server knows its
 *   place: read such a list again.
 * - A file that was deleted and a member who left leave every list that holds them, whatever its filter and
 *   order.
 * - `totalCount` moves along, also with rows beyond the pages that are held. With a filter, and in
 *   `Query.files`, it does with the rows that leave and were held. Where the room changes in the moment in
 *   which a page is read, it may be off until the next read.
 *
 * The document selects the rows' ids: `message { id }`, `fileId` and `file { id }`, `memberId` and `member {
 * id }`, and whatever else the lists show of them. Applying an event twice does nothing. A message that its
 * own answer has brought in (`postMessage`) goes to its place when its event comes.
 */
const applyEvent: UpdateResolver = (result, args, cache, { fieldName }) => {
  const change = changeOf(result[fieldName] as unknown as RoomEventData);
  const room = cache.keyOfEntity({ __typename: 'Room', id: args['roomId'] as string });
  if (change === undefined || room === null) return;
  const node = `${change.type}:${change.id}`;
  for (const page of allPages(cache, room, change.field)) {
    const isKnown = isPlain(page.args);
    if (change.row === 'gone') takeOut(cache, room, change.field, page, node, isKnown);
    else if (isKnown) bringIn(cache, room, page, node, change);
  }
  if (change.row !== 'gone') return;
  if (change.type === 'File')
    for (const page of allPages(cache, 'Query', 'files')) takeOut(cache, 'Query', 'files', page, node, false);
  cache.invalidate(node);
};

function bringIn(
  cache: Cache,
  room: string,
  page: Page,
  node: string,
  { type, id, field, end, row }: Change,
): void {
  const edges = keysIn(cache.resolve(page.key, 'edges'));
  const nodes = edges.map((edge) => cache.resolve(edge, 'node') as string);
  if (nodes.includes(node)) {
    settle(cache, page, node, edges, nodes);
    return;
  }
  if (!isMarked(cache, page, COUNTED, node)) count(cache, room, field, page, 1);
  if (!reaches(page, end) || row !== 'shown') {
    mark(cache, page, COUNTED, node);
    return;
  }
  // Its place in the pages is not known yet, so there is no cursor to page from.
  const edge = { __typename: `${type}Edge`, cursor: '', node: { __typename: type, id } };
  cache.writeFragment(EDGES[type], edge);
  const into = (list: string[], one: string): string[] => (end === 'end' ? [...list, one] : [one, ...list]);
  cache.link(page.key, 'edges', into(edges, liveEdge(node)));
  cache.link(page.key, HELD, into(nodes, node));
}

/** Events come in the order of the room: what its own answer brought in goes behind all that came before it. */
function settle(
  cache: Cache,
  page: Page,
  node: string,
  edges: readonly string[],
  nodes: readonly string[],
): void {
  const ahead = keysIn(cache.resolve(page.key, AHEAD));
  if (!ahead.includes(node)) return;
  // Other posts that are ahead are younger.
  const rank = (one: string): number => (one === node ? 1 : ahead.includes(one) ? 2 : 0);
  const order = nodes.map((one, at) => ({ one, edge: edges[at] ?? '' }));
  const sorted = order.toSorted((a, b) => rank(a.one) - rank(b.one));
  cache.link(
    page.key,
    'edges',
    sorted.map(({ edge }) => edge),
  );
  cache.link(
    page.key,
    HELD,
    sorted.map(({ one }) => one),
  );
  cache.link(
    page.key,
    AHEAD,
    ahead.filter((one) => one !== node),
  );
}

/**
 * Shows a message at once that was posted here: at the end of the timelines that reach up to there. Where a
 * later one is held it is there already, or belongs to an earlier page, as with a post that was repeated long
 * after.
 */
const applyPost: UpdateResolver = (result, args, cache, { fieldName }) => {
  const posted = result[fieldName] as { readonly message?: { readonly id?: string } } | null;
  const id = posted?.message?.id;
  const { roomId } = args['input'] as { readonly roomId: string };
  const room = cache.keyOfEntity({ __typename: 'Room', id: roomId });
  if (id === undefined || room === null) return;
  const node = `Message:${id}`;
  const postedAt = cache.resolve(node, 'createdAt');
  for (const page of allPages(cache, room, 'messages')) {
    const nodes = keysIn(cache.resolve(page.key, 'edges')).map(
      (edge) => cache.resolve(edge, 'node') as string,
    );
    const lastAt = cache.resolve(nodes.at(-1), 'createdAt');
    const isOlder = typeof lastAt === 'string' && typeof postedAt === 'string' && lastAt > postedAt;
    if (isOlder || nodes.includes(node) || !reaches(page, 'end')) continue;
    bringIn(cache, room, page, node, { ...MESSAGES, id, row: 'shown' });
    cache.link(page.key, AHEAD, [...keysIn(cache.resolve(page.key, AHEAD)), node]);
  }
};

/** Whether new rows go into this page. */
const reaches = ({ args, hasPreviousPage, hasNextPage }: Page, end: Change['end']): boolean =>
  end === 'end'
    ? (hasNextPage ?? (args['last'] == null || isPaged(args))) === false
    : (hasPreviousPage ?? (args['last'] != null || isPaged(args))) === false;

/** `isKnown`: whether a row that the page does not hold was in its list. */
function takeOut(
  cache: Cache,
  parent: string,
  fieldName: string,
  page: Page,
  node: string,
  isKnown: boolean,
): void {
  const edges = keysIn(cache.resolve(page.key, 'edges'));
  const others = edges.filter((edge) => cache.resolve(edge, 'node') !== node);
  const wasHeld = others.length < edges.length;
  if (!wasHeld && (!isKnown || isMarked(cache, page, UNCOUNTED, node))) return;
  if (wasHeld) {
    cache.link(page.key, 'edges', others);
    const held = keysIn(cache.resolve(page.key, HELD));
    cache.link(
      page.key,
      HELD,
      held.filter((one) => one !== node),
    );
  }
  mark(cache, page, UNCOUNTED, node);
  count(cache, parent, fieldName, page, -1);
}

const edgeOf = (type: string) => gql`
  fragment Live${type} on ${type}Edge {
    cursor
    node {
      id
    }
  }
`;
const EDGES = { Message: edgeOf('Message'), File: edgeOf('File'), RoomMember: edgeOf('RoomMember') };

/** For `cacheExchange({ updates })`. */
export const updates: UpdatesConfig = {
  Query: { rooms: beginAnew, files: beginAnew },
  Room: { members: beginAnew, messages: beginAnew, files: beginAnew },
  Mutation: { postMessage: applyPost },
  Subscription: { roomEvents: applyEvent, messageAdded: applyEvent, fileAdded: applyEvent },
};

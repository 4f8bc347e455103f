import { gql } from '@urql/core';
import type {
  Cache,
  DataFields,
  FieldArgs,
  KeyingConfig,
  Resolver,
  ResolverConfig,
  UpdateResolver,
  UpdatesConfig,
} from '@urql/exchange-graphcache';
import { changeOf, isPlain, type Change, type RoomEventData } from '../lists.js';

const embedded = (): null => null;

/** Edges of lists that have one order only are told apart by their node, so that live rows can be added to them. */
const byNode = ({ node }: DataFields): string | null =>
  (node as { readonly id?: string } | undefined)?.id ?? null;

/** Of other edges only a live one has a key: no page has given it a cursor. */
const whenLive = (edge: DataFields): string | null => (edge['cursor'] === '' ? byNode(edge) : null);

/** For `cacheExchange({ keys })`: how what has no `id` is told apart. Most of it is a part of what holds it. */
export const keys: KeyingConfig = {
  PageInfo: embedded,
  RoomConnection: embedded,
  RoomEdge: embedded,
  RoomMemberConnection: embedded,
  RoomMemberEdge: whenLive,
  MessageConnection: embedded,
  MessageEdge: byNode,
  FileConnection: embedded,
  ViewerFileConnection: embedded,
  FileEdge: whenLive,
  FilePage: embedded,

  Checkpoint: embedded,
  MessageAdded: embedded,
  MessageEdited: embedded,
  MessageDeleted: embedded,
  FileAdded: embedded,
  FileChanged: embedded,
  FileDeleted: embedded,
  MemberJoined: embedded,
  MemberRoleChanged: embedded,
  MemberLeft: embedded,
  TypingChanged: embedded,

  Image: embedded,
  Video: embedded,
  Audio: embedded,
  Pdf: embedded,

  StorageUse: embedded,
  UploadToken: embedded,
  UploadPart: embedded,

  Session: embedded,
  SignOutPayload: embedded,
  RenewConnectionPayload: embedded,
  CreateRoomPayload: embedded,
  JoinRoomPayload: embedded,
  DeleteRoomPayload: embedded,
  LeaveRoomPayload: embedded,
  AddMemberPayload: embedded,
  ChangeMemberRolePayload: embedded,
  RemoveMemberPayload: embedded,
  PostMessagePayload: embedded,
  EditMessagePayload: embedded,
  DeleteMessagePayload: embedded,
  SetTypingPayload: embedded,
  UploadFilePayload: embedded,
  UploadFilesPayload: embedded,
  UploadedFile: embedded,
  RejectedFile: embedded,
  CreateUploadPayload: embedded,
  CreateDirectUploadPayload: embedded,
  CompleteDirectUploadPayload: embedded,
  CancelUploadPayload: embedded,
  DeleteFilePayload: embedded,
};

/** A page of a connection that the cache holds. */
interface Page {
  readonly key: string;
  readonly args: NonNullable<FieldArgs>;
  readonly startCursor: unknown;
  readonly endCursor: unknown;
  readonly hasPreviousPage: unknown;
  readonly hasNextPage: unknown;
}

/**
 * One list out of all pages that hang together with the one that is asked for, whichever way they were paged to. Rows are
 * merged by id. `eventCursor` is that of the page that the paging began with, the oldest one, so that a subscription
 * that begins there misses nothing of any page.
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
const pagesOf = (cache: Cache, parentKey: string, fieldName: string, args: FieldArgs): Page[] =>
  allPages(cache, parentKey, fieldName).filter((page) => listOf(cache, page.args) === listOf(cache, args));

/** All pages of a connection that the cache holds. */
function allPages(cache: Cache, parentKey: string, fieldName: string): Page[] {
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

const keysIn = (value: unknown): string[] => (Array.isArray(value) ? (value as string[]) : []);

/** For `cacheExchange({ resolvers })`. */
export const resolvers: ResolverConfig = {
  Query: { rooms: connection, files: connection },
  Room: { members: connection, messages: connection, files: connection },
};

/**
 * A list that is read anew from where it began has other pages than it had. Live rows that came while the answer was under way
 * stay where they came in.
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

const isPaged = (args: FieldArgs): boolean => (args?.['before'] ?? args?.['after']) != null;

/** The nodes of a page as they were when the last live one was added: what an answer overwrites. Graphcache keeps it like a field. */
const HELD = 'parleyHeld';
/** Nodes beyond those of a page of which events told, and whether they are counted in its `totalCount`. */
const COUNTED = 'parleyCounted';
const UNCOUNTED = 'parleyUncounted';

/** The key of the edge of a live row, after that of its node. */
const liveEdge = (node: string): string => node.replace(':', 'Edge:');

/**
 * Brings the lists of a room up to date with an event.
 *
 * - A new message goes to the end of `Room.messages`, a new member to the end of `Room.members`, and a new file to the start of
 *   `Room.files`: of pages that reach up to there, and of files of those without a filter and in the default order. Elsewhere
 *   (another order, a filter, `Query.files`) only the server knows its place: read such a list again.
 * - A file that was deleted and a member who left leave every list that holds them, whatever its filter and order.
 * - `totalCount` moves along, also with rows beyond the pages that are held. With a filter, and in `Query.files`, it does with the
 *   rows that leave and were held. Where the room changes in the moment in which a page is read, it may be off until the next read.
 *
 * The document selects the rows' ids: `message { id }`, `fileId` and `file { id }`, `memberId` and `member { id }`, and whatever else
 * the lists show of them. Applying an event twice does nothing.
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
  if (nodes.includes(node)) return;
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

const isMarked = (cache: Cache, { key }: Page, field: string, node: string): boolean =>
  keysIn(cache.resolve(key, field)).includes(node);

/** A node is counted or is not. */
function mark(cache: Cache, { key }: Page, field: string, node: string): void {
  for (const one of [COUNTED, UNCOUNTED]) {
    const others = keysIn(cache.resolve(key, one)).filter((other) => other !== node);
    cache.link(key, one, one === field ? [...others, node] : others);
  }
}

/** What has no key can only be written by way of its parent. */
function count(cache: Cache, parent: string, fieldName: string, { key, args }: Page, by: number): void {
  const totalCount = cache.resolve(key, 'totalCount');
  if (typeof totalCount !== 'number') return;
  const list = { __typename: cache.resolve(key, '__typename') as string, totalCount: totalCount + by };
  const names = Object.keys(args);
  const given = names.length === 0 ? '' : `(${names.map((name) => `${name}: $${name}`).join(', ')})`;
  const field = `${fieldName}${given} { __typename totalCount }`;
  if (parent === 'Query') {
    // Graphcache looks at the names of variables, and not at their types.
    const declared = names.length === 0 ? '' : `(${names.map((name) => `$${name}: ID`).join(', ')})`;
    const query = gql(`query Count${declared} { ${field} }`);
    cache.updateQuery({ query, variables: args }, () => ({ __typename: 'Query', [fieldName]: list }));
  } else {
    const id = parent.slice('Room:'.length);
    cache.writeFragment(gql(`fragment Count on Room { id ${field} }`), { id, [fieldName]: list }, args);
  }
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
  Subscription: { roomEvents: applyEvent, messageAdded: applyEvent, fileAdded: applyEvent },
};

const MISSING_IN_FRAGMENT = /^Invalid undefined.*Fragment/s;

/**
 * For `cacheExchange({ logger })`. Where it has no whole schema, graphcache looks for the fields of every `... on` in every
 * object that it writes, and warns in development that most of them are not there.
 */
export function logger(severity: 'debug' | 'error' | 'warn', message: string): void {
  if (severity !== 'debug' && !MISSING_IN_FRAGMENT.test(message)) console[severity](message);
}

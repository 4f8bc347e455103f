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

const embedded = (): null => null;

/** Edges of lists that have one order only are told apart by their node, so that live rows can be added to them. */
const byNode = ({ node }: DataFields): string | null =>
  (node as { readonly id?: string } | undefined)?.id ?? null;

/** For `cacheExchange({ keys })`: how what has no `id` is told apart. Most of it is a part of what holds it. */
export const keys: KeyingConfig = {
  PageInfo: embedded,
  RoomConnection: embedded,
  RoomEdge: embedded,
  RoomMemberConnection: embedded,
  RoomMemberEdge: embedded,
  MessageConnection: embedded,
  MessageEdge: byNode,
  FileConnection: embedded,
  ViewerFileConnection: embedded,
  FileEdge: embedded,
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
  readonly args: Record<string, unknown>;
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
function pagesOf(cache: Cache, parentKey: string, fieldName: string, args: FieldArgs): Page[] {
  return cache.inspectFields(parentKey).flatMap((field) => {
    const key = cache.resolve(parentKey, field.fieldKey);
    if (field.fieldName !== fieldName || listOf(field.arguments) !== listOf(args) || typeof key !== 'string')
      return [];
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

const listOf = (args: FieldArgs): string => JSON.stringify([args?.['filter'], args?.['orderBy']]);

const keysIn = (value: unknown): string[] => (Array.isArray(value) ? (value as string[]) : []);

/** For `cacheExchange({ resolvers })`. */
export const resolvers: ResolverConfig = {
  Query: { rooms: connection, files: connection },
  Room: { members: connection, messages: connection, files: connection },
};

/**
 * A list that is read anew from where it began has other pages than it had. Live rows that came while the answer was under way
 * stay at its end.
 */
const beginAnew: UpdateResolver = (_result, args, cache, { parentKey, fieldName }) => {
  if (args['before'] != null || args['after'] != null) return;
  for (const page of pagesOf(cache, parentKey, fieldName, args)) {
    if ((page.args['before'] ?? page.args['after']) != null)
      cache.invalidate(parentKey, fieldName, page.args as FieldArgs);
  }
  const key = cache.resolve(parentKey, fieldName, args);
  if (typeof key !== 'string') return;
  const edges = keysIn(cache.resolve(key, 'edges'));
  const held = keysIn(cache.resolve(key, HELD));
  const last = held.findLastIndex((edge) => edges.includes(edge));
  if (last < 0 && edges.length > 0) return;
  cache.link(key, 'edges', [...edges, ...held.slice(last + 1)]);
};

/** What of an event of `roomEvents` or `messageAdded` changes the cache. */
interface RoomEventData {
  readonly __typename: string;
  readonly message?: { readonly id: string };
  readonly fileId?: string;
  readonly memberId?: string;
}

/**
 * Brings the lists of a room up to date with an event: a new message goes to the end of the timeline, where the cache holds it
 * up to its end; what is gone leaves its lists. Applying an event twice does nothing.
 */
const applyEvent: UpdateResolver = (result, args, cache, { fieldName }) => {
  const event = result[fieldName] as unknown as RoomEventData;
  if (event.__typename === 'MessageAdded') appendMessage(cache, args['roomId'] as string, event.message?.id);
  if (event.__typename === 'FileDeleted') cache.invalidate({ __typename: 'File', id: event.fileId ?? null });
  if (event.__typename === 'MemberLeft')
    cache.invalidate({ __typename: 'RoomMember', id: event.memberId ?? null });
};

/** A page's edges as they were when the last live one was added: what an answer overwrites. Graphcache keeps it like a field. */
const HELD = 'parleyHeldEdges';

const EDGE = gql`
  fragment LiveEdge on MessageEdge {
    cursor
    node {
      id
    }
  }
`;

function appendMessage(cache: Cache, roomId: string, id: string | undefined): void {
  const room = cache.keyOfEntity({ __typename: 'Room', id: roomId });
  if (room === null || id === undefined) return;
  const edge = `MessageEdge:${id}`;
  for (const { key, hasNextPage } of pagesOf(cache, room, 'messages', null)) {
    const edges = keysIn(cache.resolve(key, 'edges'));
    if (hasNextPage !== false || edges.includes(edge)) continue;
    // Its place in the pages is not known yet, so there is no cursor to page from.
    cache.writeFragment(EDGE, { __typename: 'MessageEdge', cursor: '', node: { __typename: 'Message', id } });
    for (const field of ['edges', HELD]) cache.link(key, field, [...edges, edge]);
  }
}

/** For `cacheExchange({ updates })`. */
export const updates: UpdatesConfig = {
  Query: { rooms: beginAnew },
  Room: { members: beginAnew, messages: beginAnew, files: beginAnew },
  Subscription: { roomEvents: applyEvent, messageAdded: applyEvent },
};

const MISSING_IN_FRAGMENT = /^Invalid undefined.*Fragment/s;

/**
 * For `cacheExchange({ logger })`. Where it has no whole schema, graphcache looks for the fields of every `... on` in every
 * object that it writes, and warns in development that most of them are not there.
 */
export function logger(severity: 'debug' | 'error' | 'warn', message: string): void {
  if (severity !== 'debug' && !MISSING_IN_FRAGMENT.test(message)) console[severity](message);
}

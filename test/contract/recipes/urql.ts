import { Client, fetchExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { createSocket, fragments, renewLinks, type Session } from 'parley/client';
import { keys, liveExchange, logger, resolvers, updates } from 'parley/client/urql';
import {
  AddFilesDocument,
  FollowDocument,
  LinksDocument,
  SayDocument,
  SignInDocument,
  TimelineDocument,
  type LineFragment,
  type TimelineQuery,
  type TimelineQueryVariables,
} from '../generated/graphql.js';

/** Queries, mutations and uploads go over HTTP, subscriptions over one WebSocket. */
export function connect(session: Session): Client {
  return new Client({
    url: session.url,
    fetch: session.fetch,
    exchanges: [
      cacheExchange({ keys, resolvers, updates, logger, possibleTypes: fragments.possibleTypes }),
      fetchExchange,
      liveExchange(createSocket(session.url, session)),
    ],
  });
}

export async function signIn(client: Client, session: Session, email: string, password: string) {
  const { data } = await client.mutation(SignInDocument, { input: { email, password } }).toPromise();
  session.set(data?.signIn ?? undefined);
}

/** What a page shows of a room. `onEnd`: the room cannot be shown any longer, for example because the user was removed. */
export interface RoomView {
  show(lines: readonly LineFragment[]): void;
  onEnd(error: unknown): void;
}

/** `expiresIn` of the links in `room.graphql`. */
const LINK_SECONDS = 21_600;

/** Shows the newest messages of a room (or the oldest: `{ first: 50 }`), and follows it from there through lost connections. */
export function openRoom(
  client: Client,
  roomId: string,
  view: RoomView,
  start: { last: number } | { first: number } = { last: 50 },
) {
  const page = (place: Omit<TimelineQueryVariables, 'roomId'>) =>
    [TimelineDocument, { roomId, ...place }] as const;
  let list: MessageList;
  let feed: { unsubscribe(): void } | undefined;
  const links = renewLinks(LINK_SECONDS, async (ids) => {
    const asked = client.query(LinksDocument, { ids: [...ids] }, { requestPolicy: 'network-only' });
    const { error } = await asked.toPromise();
    if (error !== undefined) throw error;
  });

  const watching = client.query(...page(start)).subscribe(({ data, error }) => {
    if (error !== undefined) view.onEnd(error);
    if (data == null) return;
    list = data.room?.messages;
    const lines = list?.edges.map(({ node }) => node) ?? [];
    links.show(lines.flatMap(({ files }) => files));
    view.show(lines);
    feed ??= follow();
  });

  // Through lost connections it goes on by itself. If the server's log does not reach back so far, the list is read anew.
  const follow = () =>
    client
      .subscription(FollowDocument, { roomId, after: list?.eventCursor }, { onGap: () => void startOver() })
      .subscribe(({ error }) => {
        if (error !== undefined) view.onEnd(error);
      });

  const startOver = () => client.query(...page(start), { requestPolicy: 'network-only' }).toPromise();

  return {
    older: () => client.query(...page({ last: 50, before: list?.pageInfo.startCursor })).toPromise(),
    newer: () => client.query(...page({ first: 50, after: list?.pageInfo.endCursor })).toPromise(),
    close: () => {
      watching.unsubscribe();
      feed?.unsubscribe();
      links.stop();
    },
  };
}

type MessageList = NonNullable<TimelineQuery['room']>['messages'] | undefined;

/** A message to post. `key`: made once when the person sends it, by `crypto.randomUUID()`, and kept to send it again. */
export interface Draft {
  readonly key: string;
  readonly body: string;
  readonly fileIds?: readonly string[];
}

/** Posts a message, which is shown with the answer; the feed gives it its place. With the same key it is posted once. */
export async function say(client: Client, roomId: string, { key, body, fileIds = [] }: Draft) {
  const input = { roomId, body, fileIds: [...fileIds], idempotencyKey: key };
  const { data, error } = await client.mutation(SayDocument, { input }).toPromise();
  if (error !== undefined) throw error;
  return data?.postMessage?.message;
}

/** Uploads files and answers what became of each: one that is refused does not stop the others. */
export async function upload(client: Client, roomId: string, files: File[]) {
  const { data, error } = await client.mutation(AddFilesDocument, { input: { roomId, files } }).toPromise();
  if (error !== undefined) throw error;
  return data?.uploadFiles?.outcomes ?? [];
}

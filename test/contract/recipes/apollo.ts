import { ApolloClient, ApolloLink, InMemoryCache } from '@apollo/client';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';
import { OperationTypeNode } from 'graphql';
import { createSocket, fragments, renewLinks, type Session } from 'parley/client';
import { applyEvent, forgetMessages, liveLink, showPosted, typePolicies } from 'parley/client/apollo';
import {
  AddFilesDocument,
  FollowDocument,
  LinksDocument,
  SayDocument,
  SignInDocument,
  TimelineDocument,
  type LineFragment,
  type TimelineQuery,
} from '../generated/graphql.js';

/** Queries, mutations and uploads go over HTTP, subscriptions over one WebSocket. */
export function connect(session: Session): ApolloClient {
  return new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      liveLink(createSocket(session.url, session)),
      new UploadHttpLink({ uri: session.url, fetch: session.fetch }),
    ),
    cache: new InMemoryCache({ possibleTypes: fragments.possibleTypes, typePolicies }),
  });
}

export async function signIn(client: ApolloClient, session: Session, email: string, password: string) {
  const { data } = await client.mutate({
    mutation: SignInDocument,
    variables: { input: { email, password } },
  });
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
  client: ApolloClient,
  roomId: string,
  view: RoomView,
  start: { last: number } | { first: number } = { last: 50 },
) {
  const query = client.watchQuery({ query: TimelineDocument, variables: { roomId, ...start } });
  let list: MessageList;
  let feed: { unsubscribe(): void } | undefined;
  const links = renewLinks(LINK_SECONDS, (ids) =>
    client.query({ query: LinksDocument, variables: { ids: [...ids] }, fetchPolicy: 'network-only' }),
  );

  const watching = query.subscribe(({ data, dataState, error }) => {
    if (error !== undefined) view.onEnd(error);
    if (dataState !== 'complete') return;
    list = data.room?.messages;
    const lines = list?.edges.map(({ node }) => node) ?? [];
    links.show(lines.flatMap(({ files }) => files));
    view.show(lines);
    feed ??= follow();
  });

  // Through lost connections it goes on by itself. If the server's log does not reach back so far, the list is read anew.
  const follow = () =>
    client
      .subscribe({
        query: FollowDocument,
        variables: { roomId, after: list?.eventCursor },
        context: { onGap: () => void startOver() },
      })
      .subscribe(({ data, error }) => {
        if (data !== undefined) applyEvent(client.cache, roomId, data.roomEvents);
        if (error !== undefined) view.onEnd(error);
      });

  const startOver = () => {
    forgetMessages(client.cache, roomId);
    return query.refetch();
  };

  return {
    older: () =>
      query.fetchMore({ variables: { last: 50, before: list?.pageInfo.startCursor, first: null } }),
    newer: () => query.fetchMore({ variables: { first: 50, after: list?.pageInfo.endCursor, last: null } }),
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
export async function say(client: ApolloClient, roomId: string, { key, body, fileIds = [] }: Draft) {
  const { data } = await client.mutate({
    mutation: SayDocument,
    variables: { input: { roomId, body, fileIds: [...fileIds], idempotencyKey: key } },
    update: (cache, { data: answer }) => {
      const message = answer?.postMessage?.message;
      if (message != null) showPosted(cache, roomId, message);
    },
  });
  return data?.postMessage?.message;
}

/** Uploads files and answers what became of each: one that is refused does not stop the others. */
export async function upload(client: ApolloClient, roomId: string, files: File[]) {
  const { data } = await client.mutate({
    mutation: AddFilesDocument,
    variables: { input: { roomId, files } },
  });
  return data?.uploadFiles?.outcomes ?? [];
}

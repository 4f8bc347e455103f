import { ApolloClient, ApolloLink, InMemoryCache } from '@apollo/client';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';
import { OperationTypeNode } from 'graphql';
import { createSocket, fragments, type Session } from 'parley/client';
import { applyEvent, forgetMessages, liveLink, typePolicies } from 'parley/client/apollo';
import {
  AddFilesDocument,
  FollowDocument,
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

  const watching = query.subscribe(({ data, dataState, error }) => {
    if (error !== undefined) view.onEnd(error);
    if (dataState !== 'complete') return;
    list = data.room?.messages;
    view.show(list?.edges.map(({ node }) => node) ?? []);
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
    },
  };
}

type MessageList = NonNullable<TimelineQuery['room']>['messages'] | undefined;

/** Posts a message. The feed brings it to the list, in its place. */
export async function say(client: ApolloClient, roomId: string, body: string, fileIds: string[] = []) {
  const input = { roomId, body, fileIds, idempotencyKey: crypto.randomUUID() };
  const { data } = await client.mutate({ mutation: SayDocument, variables: { input } });
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

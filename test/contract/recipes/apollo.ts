import { ApolloClient, ApolloLink, CombinedGraphQLErrors, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';
import { OperationTypeNode } from 'graphql';
import { applyEvent, forgetMessages, typePolicies } from '../../../client/apollo.js';
import fragments from '../../../client/possible-types.js';
import type { Session } from '../../../client/session.js';
import { createSocket } from '../../../client/socket.js';
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
      new GraphQLWsLink(createSocket(session.url, session)),
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

  const follow = () =>
    client
      .subscribe({ query: FollowDocument, variables: { roomId, after: list?.eventCursor } })
      .subscribe(({ data, error }) => {
        if (data !== undefined) applyEvent(client.cache, roomId, data.roomEvents);
        if (isCode(error, 'CURSOR_EXPIRED')) void startOver();
        else if (error !== undefined) view.onEnd(error);
      });

  // The server's log does not reach back to where this list was read: read it again, and follow it from there.
  const startOver = async () => {
    forgetMessages(client.cache, roomId);
    await query.refetch();
    feed = follow();
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

const isCode = (error: unknown, code: string): boolean =>
  CombinedGraphQLErrors.is(error) && error.errors.some(({ extensions }) => extensions?.['code'] === code);

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

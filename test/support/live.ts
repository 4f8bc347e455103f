import { createClient, type Client as WsClient, type ClientOptions } from 'graphql-ws';
import WebSocket from 'ws';
import type { Client, Variables } from './client.js';
import { eventually } from './deadline.js';

/** What a subscription has been sent so far, and how it ended. */
export class Feed {
  readonly results: any[] = [];
  error: unknown;
  completed = false;

  get isOver(): boolean {
    return this.completed || this.error !== undefined;
  }

  /** The codes it ended with. */
  get codes(): string[] {
    return Array.isArray(this.error)
      ? this.error.map((one: { extensions?: { code?: string } }) => String(one.extensions?.code))
      : [];
  }

  /** Ends it from the client's side. */
  readonly stop: () => void;

  constructor(begin: (feed: Feed) => () => void) {
    this.stop = begin(this);
  }

  /** The first `count` values of the root field `field`, once they are there. */
  async take(count: number, field: string, ms = 10_000): Promise<any[]> {
    return eventually(ms, `${count} results of ${field} (${this.results.length} came)`, () =>
      this.results.length >= count ? this.results.slice(0, count).map((data) => data[field]) : undefined,
    );
  }

  async end(ms = 10_000): Promise<void> {
    await eventually(ms, 'the end of the subscription', () => this.isOver);
  }
}

/** A stock graphql-ws client of this user. Does not connect again by itself. */
export function live(user: Client, options: Partial<ClientOptions> = {}): WsClient {
  return createClient({
    url: `${user.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: true,
    connectionParams: user.token === undefined ? {} : { authorization: `Bearer ${user.token}` },
    ...options,
  });
}

export function subscribe(
  client: Pick<WsClient, 'subscribe'>,
  query: string,
  variables: Variables = {},
): Feed {
  return new Feed((feed) =>
    client.subscribe<any>(
      { query, variables },
      {
        next: ({ data, errors }) => {
          feed.results.push(errors === undefined ? data : { ...data, errors });
        },
        error: (error) => {
          feed.error = error;
        },
        complete: () => {
          feed.completed = true;
        },
      },
    ),
  );
}

/** The values of every event that a screen would want. */
export const ROOM_EVENTS = `subscription ($roomId: ID!, $after: String, $last: Int) {
  roomEvents(roomId: $roomId, after: $after, last: $last) {
    __typename cursor at actor { handle }
    ... on MessageAdded { message { id body author { handle } } }
    ... on MessageEdited { message { id body } }
    ... on MessageDeleted { message { id body deletedAt } }
    ... on FileAdded { fileId file { name } }
    ... on FileDeleted { fileId }
    ... on MemberJoined { user { handle } role memberId member { id } }
    ... on MemberRoleChanged { user { handle } role memberId member { id } }
    ... on MemberLeft { user { handle } memberId }
  }
}`;

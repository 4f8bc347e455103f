import { ApolloClient, ApolloLink, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';
import { createSocket, type Session } from 'parley/client';

/** Why a subscription ended: codes of errors, or none when its connection was lost. */
export type End = readonly string[] | 'lost' | 'complete' | `closed ${string}`;

export interface Sink {
  /** `id`: the cursor that the transport itself gave for this answer. */
  next(result: { data?: any; errors?: readonly unknown[] }, id?: string): void;
  ended(how: End): void;
}

/** Subscribes to a room after a cursor; answers how to stop. Calls `ended` once, unless it was stopped. */
export type Subscribe = (query: string, roomId: string, after: string, sink: Sink) => () => void;

export const KINDS = ['graphql-ws', 'client/', 'apollo', 'sse'] as const;
export type TransportKind = (typeof KINDS)[number];

/** One client with a connection of its own through `url`. */
export function transport(kind: TransportKind, url: string, session: Session): Subscribe {
  const graphql = `${url}/graphql`;
  switch (kind) {
    case 'graphql-ws':
      return overSocket(stockClient(graphql, session));
    case 'client/':
      return overSocket(
        createSocket(graphql, session, {
          webSocketImpl: WebSocket,
          retryWait: () => new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 200)),
        }),
      );
    case 'apollo':
      return overApollo(stockClient(graphql, session));
    case 'sse':
      return overEvents(graphql, session);
  }
}

/** As a stock client comes, but that whoever subscribes decides when to try again. */
function stockClient(url: string, session: Session): Client {
  let token: string | undefined;
  return createClient({
    url: url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionAckWaitTimeout: 15_000,
    connectionParams: async () => {
      token = await session.accessToken();
      return { authorization: `Bearer ${token ?? ''}` };
    },
    on: {
      closed: (event) => {
        if ((event as { code?: number }).code === 4403 && token !== undefined) session.refuse(token);
      },
    },
  });
}

const overSocket =
  (client: Pick<Client, 'subscribe'>): Subscribe =>
  (query, roomId, after, sink) =>
    client.subscribe<any>(
      { query, variables: { roomId, after } },
      {
        next: (result) => sink.next(result as { data?: any }),
        error: (error) => sink.ended(endOf(error)),
        complete: () => sink.ended('complete'),
      },
    );

/** Apollo's link asks for a browser's WebSocket to tell what kind of failure it was handed. */
Object.assign(globalThis, { WebSocket: (globalThis as { WebSocket?: unknown }).WebSocket ?? WebSocket });

function overApollo(socket: Client): Subscribe {
  const client = new ApolloClient({
    link: ApolloLink.from([new GraphQLWsLink(socket)]),
    cache: new InMemoryCache(),
  });
  return (query, roomId, after, sink) => {
    const subscription = client
      .subscribe({
        query: gql(query),
        variables: { roomId, after },
        fetchPolicy: 'no-cache',
        errorPolicy: 'all',
      })
      .subscribe({
        next: ({ data, error }) => {
          if (data == null && error !== undefined) sink.ended(endOf(error));
          else sink.next({ data, ...(error !== undefined && { errors: [error] }) });
        },
        error: (error: unknown) => sink.ended(endOf(error)),
        complete: () => sink.ended('complete'),
      });
    return () => subscription.unsubscribe();
  };
}

/** An event stream read with fetch, resumed by Last-Event-ID as EventSource does. */
const overEvents =
  (url: string, session: Session): Subscribe =>
  (query, roomId, after, sink) => {
    const stop = new AbortController();
    const read = async (): Promise<End> => {
      const token = (await session.accessToken()) ?? '';
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          accept: 'text/event-stream',
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'last-event-id': after,
        },
        body: JSON.stringify({ query, variables: { roomId } }),
        signal: stop.signal,
      });
      if (response.status === 401) session.refuse(token);
      if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) {
        const { errors } = (await response.json()) as { errors?: unknown };
        return codesOf(errors);
      }
      let codes: End = 'lost';
      for await (const { id, event, data } of eventsIn(response.body!)) {
        if (event === 'complete') return codes === 'lost' ? 'complete' : codes;
        const result = JSON.parse(data) as { data?: unknown; errors?: unknown[] };
        if (result.data == null && result.errors !== undefined) codes = codesOf(result.errors);
        else sink.next(result, id);
      }
      return codes;
    };
    read()
      .catch((): End => 'lost')
      .then((end) => {
        if (!stop.signal.aborted) sink.ended(end);
      })
      .catch((error: unknown) => {
        throw error;
      });
    return () => stop.abort();
  };

/** The events of a stream; comments are left out. */
async function* eventsIn(body: AsyncIterable<Uint8Array>) {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string): string | undefined =>
        new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1];
      const event = field('event');
      if (event !== undefined) yield { id: field('id'), event, data: field('data') ?? '' };
    }
  }
}

/** What GraphQL clients hand over as an error: GraphQL's errors in several wrappings, a close event, or a socket's failure. */
function endOf(error: unknown): End {
  if (Array.isArray(error)) return codesOf(error);
  if (error === null || typeof error !== 'object') return 'lost';
  if ('errors' in error) return codesOf(error.errors);
  const code =
    'code' in error && typeof error.code === 'number'
      ? String(error.code)
      : /^Socket closed with event (\d+)/.exec('message' in error ? String(error.message) : '')?.[1];
  return code === undefined ? 'lost' : `closed ${code}`;
}

const codesOf = (errors: unknown): string[] =>
  Array.isArray(errors)
    ? errors.map((error: { extensions?: { code?: string } }) => String(error.extensions?.code))
    : ['no errors'];

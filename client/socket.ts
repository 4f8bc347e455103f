import { createClient, TerminatedCloseEvent, type ClientOptions } from 'graphql-ws/client';
import { backoff } from './backoff.js';
import { Renewal } from './renewal.js';
import { resuming, type LiveClient } from './resume.js';
import type { Session } from './session.js';

/** Milliseconds of silence before the server is pinged. Half of that without an answer, and the connection counts as dead. */
const PING_MS = 10_000;

/** What the server closes a socket with when its token was refused, has run out, or its sign-in was ended. */
const FORBIDDEN = 4403;

/** Options of graphql-ws's client, but for those that the socket is about. */
export type SocketOptions = Omit<Partial<ClientOptions>, 'url' | 'connectionParams'>;

/**
 * The socket for live feeds. It connects while there are subscriptions, connects again whatever happened to the connection,
 * with a fresh token, renews that token before it runs out, and resumes each feed where it stopped (`resuming`).
 * `url`: of the GraphQL endpoint, as for HTTP.
 */
export function createSocket(
  url: string,
  session: Session,
  { keepAlive = PING_MS, ...options }: SocketOptions = {},
): LiveClient {
  let token: string | undefined;
  let pong: ReturnType<typeof setTimeout> | undefined;
  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: async () => {
      token = await session.accessToken();
      return token === undefined ? {} : { authorization: `Bearer ${token}` };
    },
    retryAttempts: Infinity,
    // A server that is away for a moment is an event and no Error, at which graphql-ws would give up by default; an Error is a
    // consumer's. What must not be repeated (a refused message, a defect) it does not repeat in any case.
    shouldRetry: (problem) => !(problem instanceof Error) || problem instanceof TerminatedCloseEvent,
    retryWait: (retries) => new Promise((resolve) => setTimeout(resolve, backoff(retries))),
    keepAlive,
    ...options,
  });
  const renewal = new Renewal(client, session, (fresh) => {
    token = fresh;
  });
  client.on('connected', () => renewal.begin(token));
  client.on('ping', (received) => {
    if (!received) pong = setTimeout(() => client.terminate(), keepAlive / 2);
  });
  client.on('pong', (received) => {
    if (received) clearTimeout(pong);
  });
  client.on('closed', (event) => {
    clearTimeout(pong);
    renewal.end();
    if ((event as { code?: number }).code === FORBIDDEN && token !== undefined) session.refuse(token);
  });
  return resuming(client);
}

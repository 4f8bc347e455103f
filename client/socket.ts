import { createClient, TerminatedCloseEvent, type ClientOptions } from 'graphql-ws/client';
import { backoff } from './backoff.js';
import { claimsOf } from './claims.js';
import { Fallback } from './fallback.js';
import { Renewal } from './renewal.js';
import { resuming, type LiveClient } from './resume.js';
import type { Session } from './session.js';
import { onWake, pause } from './wake.js';

/**
 * Milliseconds of silence before the server is pinged. Half of that without an answer, and the connection
 * counts as dead.
 */
const PING_MS = 10_000;

/** Milliseconds that the server has to answer a ping after the network or the page has come back. */
const WAKE_MS = 3_000;

/** What the server closes a socket with when its token was refused, has run out, or its sign-in was ended. */
const FORBIDDEN = 4403;

/** Options of graphql-ws's client, but for those that the socket is about. */
export type SocketOptions = Omit<Partial<ClientOptions>, 'url' | 'connectionParams'>;

/** What is needed of a WebSocket. */
interface Opened {
  send(text: string): void;
}

/**
 * The socket for live feeds. It connects while there are subscriptions, connects again whatever happened to the
 * connection, with a fresh token, renews that token before it runs out, and resumes each feed where it stopped
 * (`resuming`). A browser that is back on the network, or a page that is seen again, makes it connect at once.
 * Where WebSockets are blocked it takes event streams. When the session becomes another user's, all begins anew
 * as that user. `url`: of the GraphQL endpoint, as for HTTP.
 */
export function createSocket(
  url: string,
  session: Session,
  { keepAlive = PING_MS, ...options }: SocketOptions = {},
): LiveClient {
  let token: string | undefined;
  let pong: ReturnType<typeof setTimeout> | undefined;
  let opened: Opened | undefined;
  /** Whose connection it is: a user, or null for a signed-out one. Undefined while there is none. */
  let user: string | null | undefined;

  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: async () => {
      token = await session.accessToken();
      user = claimsOf(token).sub ?? null;
      return token === undefined ? {} : { authorization: `Bearer ${token}` };
    },
    retryAttempts: Infinity,
    // A server that is away for a moment is an event and no Error, at which graphql-ws would give up by
    // default; an Error is a consumer's. What must not be repeated (a refused message, a defect) it does not
    // repeat in any case.
    shouldRetry: (problem) => !(problem instanceof Error) || problem instanceof TerminatedCloseEvent,
    retryWait: (retries) => pause(backoff(retries)),
    keepAlive,
    ...options,
  });
  const live = new Fallback(client, url, session);
  const awaitPong = (ms: number): void => {
    clearTimeout(pong);
    pong = setTimeout(() => client.terminate(), ms);
  };

  const renewal = new Renewal(client, session, (fresh) => {
    token = fresh;
  });
  client.on('connected', (socket) => {
    // It was under way when the session became another user's.
    if (user !== (session.user ?? null)) {
      // When all who listen know that it is connected.
      void Promise.resolve().then(() => client.terminate());
      return;
    }
    opened = socket as Opened;
    renewal.begin(token);
  });
  client.on('ping', (received) => {
    if (!received) awaitPong(keepAlive / 2);
  });
  client.on('pong', (received) => {
    if (received) clearTimeout(pong);
  });
  client.on('closed', (event) => {
    clearTimeout(pong);
    renewal.end();
    opened = undefined;
    user = undefined;
    if ((event as { code?: number }).code === FORBIDDEN && token !== undefined) session.refuse(token);
  });

  // The network may be another one, over which nothing of the old connection comes any more.
  const stopWaking = onWake(() => {
    live.wake();
    if (opened === undefined) return;
    opened.send('{"type":"ping"}');
    awaitPong(Math.min(WAKE_MS, keepAlive / 2 || WAKE_MS));
  });
  const stopFollowing = session.onUser(() => live.terminate());

  const socket = resuming(live);
  return {
    ...socket,
    dispose: () => {
      stopWaking();
      stopFollowing();
      return socket.dispose();
    },
  };
}

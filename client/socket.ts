import { createClient, TerminatedCloseEvent, type Client, type ClientOptions } from 'graphql-ws/client';
import type { Session } from './session.js';

/** Milliseconds of silence before the server is pinged. Half of that without an answer, and the connection counts as dead. */
const PING_MS = 10_000;
/** The longest pause between two attempts to connect. */
const LONGEST_PAUSE_MS = 30_000;

/** What the server closes a socket with when its token was refused, has run out, or its sign-in was ended. */
const FORBIDDEN = 4403;

/**
 * The socket for live feeds. It connects while there are subscriptions, connects again whatever happened to the connection,
 * with a fresh token, and resumes each feed where it stopped (`resuming`).
 */
export function createSocket(
  url: string,
  session: Session,
  { keepAlive = PING_MS, ...options }: Omit<Partial<ClientOptions>, 'url' | 'connectionParams'> = {},
): Client {
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
    retryWait: (retries) => pause(Math.min(LONGEST_PAUSE_MS, 500 * 2 ** retries) * (0.5 + Math.random() / 2)),
    keepAlive,
    ...options,
  });
  client.on('ping', (received) => {
    if (!received) pong = setTimeout(() => client.terminate(), keepAlive / 2);
  });
  client.on('pong', (received) => {
    if (received) clearTimeout(pong);
  });
  client.on('closed', (event) => {
    clearTimeout(pong);
    if ((event as { code?: number }).code === FORBIDDEN && token !== undefined) session.refuse(token);
  });
  return resuming(client);
}

/**
 * Makes a graphql-ws client resume: when it subscribes again after a lost connection, it sends the cursor of the last event that
 * was handed over as `$after`. For this the document declares `$after`, and selects `cursor`.
 */
export function resuming(client: Client): Client {
  return {
    ...client,
    subscribe(payload, sink) {
      // graphql-ws reads the variables anew each time it subscribes.
      const variables: Record<string, unknown> = { ...payload.variables };
      const next: typeof sink.next = (result) => {
        sink.next(result);
        const cursor = cursorIn(result.data);
        if (cursor === undefined) return;
        variables['after'] = cursor;
        // `last` was for the beginning; the two do not go together.
        delete variables['last'];
      };
      const ended = { error: sink.error.bind(sink), complete: sink.complete.bind(sink) };
      return client.subscribe({ ...payload, variables }, { next, ...ended });
    },
  };
}

/** The cursor of the event that a result is of. */
function cursorIn(data: unknown): string | undefined {
  const [event] = Object.values((data ?? {}) as Record<string, { cursor?: unknown } | null>);
  return typeof event?.cursor === 'string' ? event.cursor : undefined;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

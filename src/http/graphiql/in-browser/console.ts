import type { Browser, Fetcher, Params, Result } from './browser.js';
import type { follow } from './follow.js';
import type { operationsOf } from './operations.js';
import type { fillVariables } from './variables.js';

interface Session {
  readonly accessToken: string;
  readonly accessTokenExpiresAt?: string;
  readonly refreshToken?: string;
  readonly user?: { readonly id?: string; readonly handle?: string };
}

interface Memory {
  readonly session?: Session | undefined;
  /** The last value of every root field that was answered. */
  readonly seen: Readonly<Record<string, unknown>>;
}

/** The other functions in the page. */
export interface Parts {
  readonly follow: typeof follow;
  readonly operationsOf: typeof operationsOf;
  readonly fillVariables: typeof fillVariables;
}

/**
 * The fetcher that GraphiQL sends everything through. It makes a row of examples run from top to bottom with nothing
 * copied by hand:
 *
 * - it remembers the session of the last answer that carried one, sends its token, and renews it before it runs out;
 * - it remembers what was answered, and fills `"{{createRoom.room.id}}"` in variables with the last value seen there
 *   (`{{random}}` becomes a short random word);
 * - it follows subscriptions over WebSocket and shows the newest event with the earlier ones below it.
 *
 * The windows of one browser share all this for as long as one of them is open, so that a message posted in a second
 * window is seen to arrive in the first.
 *
 * `tabOf`: the tab whose operation answers a root field.
 */
export function openConsole(
  browser: Browser,
  tabOf: Readonly<Record<string, string>>,
  parts: Parts,
): Fetcher {
  const storageKey = 'parley:console';
  /** Seconds before its end from which a token is renewed. */
  const renewBefore = 30;

  // --- What is remembered, and shared with the other windows

  let memory: Memory = { seen: {} };

  function adopt(next: Memory, persist = true): void {
    memory = next;
    try {
      if (persist) browser.storage.setItem(storageKey, JSON.stringify(memory));
    } catch {
      // Storage is full or forbidden: this window still remembers.
    }
    const handle = memory.session?.user?.handle;
    const who = handle === undefined ? 'signed in' : `signed in as @${handle}`;
    browser.say(memory.session === undefined ? 'signed out' : who);
  }

  function remember(next: Memory): void {
    adopt(next);
    browser.channel.postMessage(memory);
  }

  browser.channel.onmessage = ({ data }) => {
    if (data !== 'what do you remember?') adopt(data as Memory);
    else if (Object.keys(memory.seen).length > 0) browser.channel.postMessage(memory);
  };
  const stored = browser.storage.getItem(storageKey);
  adopt(stored === null ? memory : (JSON.parse(stored) as Memory), false);
  browser.channel.postMessage('what do you remember?');

  function isSession(value: unknown): value is Session {
    return typeof (value as Partial<Session> | null)?.accessToken === 'string';
  }

  /** Another user's answers are forgotten: their rooms would only be refused. */
  function learn({ data }: Result): void {
    let { session, seen } = memory;
    for (const [field, value] of Object.entries(data ?? {})) {
      if (value === null || field.startsWith('__')) continue;
      if (isSession(value)) {
        if (value.user?.id !== session?.user?.id) seen = {};
        session = value;
      }
      if (field === 'signOut') session = undefined;
      seen = { ...seen, [field]: value };
    }
    if (seen !== memory.seen) remember({ session, seen });
  }

  // --- HTTP

  function ownAuthorization(): string | undefined {
    return memory.session === undefined ? undefined : `Bearer ${memory.session.accessToken}`;
  }

  async function post(
    params: Params,
    authorization: string | undefined,
    extra: Record<string, string> = {},
  ): Promise<Result> {
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json',
      ...extra,
    };
    if (authorization !== undefined) headers['authorization'] = authorization;
    const response = await browser.post(headers, JSON.stringify(params));
    const text = await response.text();
    try {
      return JSON.parse(text) as Result;
    } catch {
      return { errors: [{ message: `The server answered ${String(response.status)}: ${text}` }] };
    }
  }

  /** These judge another secret than the token that was sent along. */
  const judgesAnother = ['signIn', 'signOut', 'refreshSession'];

  function unauthenticated({ errors }: Result, but: readonly unknown[] = []): boolean {
    return (errors ?? []).some(
      ({ extensions, path }) => extensions?.['code'] === 'UNAUTHENTICATED' && !but.includes(path?.[0]),
    );
  }

  /** One renewal at a time: a refresh token is good for one use. */
  let renewal: Promise<void> | undefined;

  /** Leaves a session that works, or none. Where the server gives neither yes nor no, all stays as it is. */
  function renew(): Promise<void> {
    renewal ??= (async () => {
      const { session, seen } = memory;
      const refreshToken = session?.refreshToken;
      if (refreshToken === undefined) {
        remember({ seen });
        return;
      }
      const query = `mutation RenewSession($refreshToken: String!) {
        refreshSession(input: { refreshToken: $refreshToken }) {
          accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt user { id handle }
        }
      }`;
      const result = await post({ query, variables: { refreshToken } }, undefined);
      const successor = result.data?.['refreshSession'];
      if (isSession(successor)) remember({ session: successor, seen });
      else if (unauthenticated(result)) remember({ seen });
    })().finally(() => (renewal = undefined));
    return renewal;
  }

  async function renewWhenDue(): Promise<void> {
    const end = memory.session?.accessTokenExpiresAt;
    if (end !== undefined && Date.parse(end) - Date.now() < renewBefore * 1000) await renew();
  }

  // --- The fetcher

  return async (typed, options) => {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options?.headers ?? {}))
      headers[name.toLowerCase()] = String(value);

    const operations = parts.operationsOf(typed.query);
    // Right after a change of tabs GraphiQL may still name the operation of the tab before.
    const named = operations.find(({ name }) => name === typed.operationName);
    const operation = named ?? (operations.length === 1 ? operations[0] : undefined);

    const random = Math.random().toString(36).slice(2, 8).padEnd(6, '0');
    const filled = parts.fillVariables(typed.variables, { seen: memory.seen, tabOf, random });
    if ('missing' in filled) return { errors: [{ message: filled.missing }] };
    const params: Params = {
      query: typed.query,
      variables: filled.variables,
      ...(operation?.name !== undefined && { operationName: operation.name }),
    };

    // A header that the user wrote is theirs: no session of ours is mixed in.
    const { authorization: written, ...extra } = headers;
    if (written === undefined) await renewWhenDue();
    const sent = written ?? ownAuthorization();
    if (operation?.type === 'subscription') {
      return parts.follow(browser.openSocket(), params, sent, () => void renew().catch(() => undefined));
    }

    let result = await post(params, sent, extra);
    const nothingDone = Object.values(result.data ?? {}).every((value) => value === null);
    const refused = unauthenticated(result, judgesAnother) && nothingDone;
    if (refused && written === undefined && sent !== undefined) {
      await renew();
      result = await post(params, ownAuthorization(), extra);
    }
    learn(result);
    return result;
  };
}

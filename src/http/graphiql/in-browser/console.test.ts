import { beforeEach, expect, test, vi } from 'vitest';
import type { Browser, Result, Socket } from './browser.js';
import { openConsole } from './console.js';
import { follow } from './follow.js';
import { operationsOf } from './operations.js';
import { fillVariables } from './variables.js';

interface Sent {
  readonly headers: Record<string, string>;
  readonly body: { readonly query: string; readonly variables?: unknown; readonly operationName?: string };
}
type Answer = Result | ((sent: Sent) => Result);

/** Channels of the windows that are open. */
const windows = new Set<Browser['channel']>();
beforeEach(() => {
  windows.clear();
});

function openWindow(storage = new Map<string, string>()) {
  const sent: Sent[] = [];
  const answers: Answer[] = [];
  const socketPayloads: unknown[] = [];
  let status = '';

  const channel: Browser['channel'] = {
    onmessage: null,
    postMessage(message) {
      for (const other of windows)
        if (other !== channel) other.onmessage?.({ data: structuredClone(message) });
    },
  };
  windows.add(channel);

  const browser: Browser = {
    post(headers, body) {
      const request = { headers, body: JSON.parse(body) as Sent['body'] };
      sent.push(request);
      const answer = answers.shift() ?? { data: {} };
      const result = typeof answer === 'function' ? answer(request) : answer;
      return Promise.resolve({ status: 200, text: () => Promise.resolve(JSON.stringify(result)) });
    },
    openSocket() {
      const socket: Socket = {
        onopen: null,
        onmessage: null,
        onclose: null,
        send: (text) => socketPayloads.push((JSON.parse(text) as { payload: unknown }).payload),
        close: () => undefined,
      };
      queueMicrotask(() => socket.onopen?.());
      return socket;
    },
    storage: {
      getItem: (key) => storage.get(key) ?? null,
      setItem: (key, value) => void storage.set(key, value),
    },
    channel,
    say: (text) => (status = text),
  };
  const fetcher = openConsole(browser, { createRoom: 'MakeRoom' }, { follow, operationsOf, fillVariables });

  return {
    sent,
    socketPayloads,
    status: () => status,
    /** Runs a document, which the server answers with `answer`. */
    run(query: string, answer: Answer | Answer[] = { data: {} }, extra: object = {}, headers = {}) {
      answers.push(...(Array.isArray(answer) ? answer : [answer]));
      return fetcher({ query, ...extra }, { headers });
    },
    authorization: () => sent.at(-1)?.headers['authorization'],
  };
}

function session(token: string, { seconds = 900, user = 'U1' } = {}) {
  return {
    accessToken: token,
    accessTokenExpiresAt: new Date(Date.now() + seconds * 1000).toISOString(),
    refreshToken: `refresh-${token}`,
    user: { id: user, handle: user.toLowerCase() },
  };
}
const signedUp = (token: string, options = {}): Result => ({ data: { signUp: session(token, options) } });
const refused = (field: string): Result => ({
  data: { [field]: null },
  errors: [{ message: 'no', path: [field], extensions: { code: 'UNAUTHENTICATED' } }],
});

test('the token of an answer goes with all that follows', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1'));
  expect(window.authorization()).toBeUndefined();
  await window.run('{ viewer { id } }');
  expect(window.authorization()).toBe('Bearer t1');
  expect(window.status()).toBe('signed in as @u1');
});

test('the token goes with a subscription, whose document is not sent by HTTP', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1'));
  await window.run('subscription Ticks { tick }', []);
  await vi.waitFor(() => {
    expect(window.socketPayloads).toEqual([{ authorization: 'Bearer t1' }]);
  });
  expect(window.sent).toHaveLength(1);
});

test('a header that the user wrote goes before ours, over HTTP and WebSocket', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1'));
  await window.run('{ viewer { id } }', {}, {}, { Authorization: 'Bearer mine', 'X-Other': '1' });
  expect(window.sent.at(-1)?.headers).toMatchObject({ authorization: 'Bearer mine', 'x-other': '1' });
  await window.run('subscription { tick }', [], {}, { Authorization: 'Bearer mine' });
  await vi.waitFor(() => {
    expect(window.socketPayloads).toEqual([{ authorization: 'Bearer mine' }]);
  });
});

test('what was answered fills the variables of what follows', async () => {
  const window = openWindow();
  await window.run('mutation { createRoom }', { data: { createRoom: { room: { id: 'R1' } } } });
  await window.run('query Q($id: ID!) { room }', {}, { variables: { id: '{{createRoom.room.id}}' } });
  expect(window.sent.at(-1)?.body.variables).toEqual({ id: 'R1' });
});

test('an operation whose variables are not known yet is not sent, and the answer says what to run first', async () => {
  const window = openWindow();
  const result = await window.run('query Q($id: ID!) { room }', [], {
    variables: { id: '{{createRoom.room.id}}' },
  });
  expect(JSON.stringify(result)).toContain(String.raw`Run the tab \"MakeRoom\" first`);
  expect(window.sent).toEqual([]);
});

test('another random word each time', async () => {
  const window = openWindow();
  for (let i = 0; i < 2; i++) await window.run('mutation { a }', {}, { variables: { word: '{{random}}' } });
  const [first, second] = window.sent.map(({ body }) => (body.variables as { word: string }).word);
  expect(first).toMatch(/^[a-z0-9]{6}$/);
  expect(second).not.toBe(first);
});

test('a document with one operation is sent with its name, whatever GraphiQL says', async () => {
  const window = openWindow();
  await window.run('query New { a }', {}, { operationName: 'Old' });
  expect(window.sent.at(-1)?.body.operationName).toBe('New');
});

test('of several operations the one that GraphiQL names is run', async () => {
  const window = openWindow();
  const document = 'query A { a } subscription B { b }';
  await window.run(document, {}, { operationName: 'A' });
  expect(window.sent.at(-1)?.body.operationName).toBe('A');
  await window.run(document, [], { operationName: 'B' });
  expect(window.sent).toHaveLength(1);
});

test('a token that is about to end is renewed before it is sent', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1', { seconds: 10 }));
  await window.run('{ viewer { id } }', [{ data: { refreshSession: session('t2') } }, { data: {} }]);
  expect(window.sent[1]?.body.variables).toEqual({ refreshToken: 'refresh-t1' });
  expect(window.sent[1]?.headers).not.toHaveProperty('authorization');
  expect(window.authorization()).toBe('Bearer t2');
});

test('a token that is refused is renewed, and the operation sent again', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1'));
  const result = await window.run('mutation { post }', [
    refused('post'),
    { data: { refreshSession: session('t2') } },
    { data: { post: 1 } },
  ]);
  expect(result).toEqual({ data: { post: 1 } });
  expect(window.authorization()).toBe('Bearer t2');
});

test('a session that cannot be renewed is forgotten, so that one can sign up anew', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1'));
  await window.run('mutation { signUp }', [
    { errors: [{ message: 'no', extensions: { code: 'UNAUTHENTICATED' } }] },
    refused('refreshSession'),
    signedUp('t2', { user: 'U2' }),
  ]);
  expect(window.sent.at(-1)?.headers).not.toHaveProperty('authorization');
  expect(window.status()).toBe('signed in as @u2');
});

test('an outage ends no session', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1', { seconds: 10 }));
  await window.run('{ viewer { id } }', [
    { errors: [{ message: 'busy', extensions: { code: 'UNAVAILABLE' } }] },
    { data: {} },
  ]);
  expect(window.authorization()).toBe('Bearer t1');
});

test('a wrong password ends no session and is not tried twice', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1'));
  await window.run('mutation { signIn }', refused('signIn'));
  expect(window.sent).toHaveLength(2);
  expect(window.status()).toBe('signed in as @u1');
});

test('signing out forgets the token', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1'));
  await window.run('mutation { signOut }', { data: { signOut: { userId: 'U1' } } });
  expect(window.status()).toBe('signed out');
  await window.run('{ viewer { id } }');
  expect(window.authorization()).toBeUndefined();
});

test('another user starts with nothing of what the one before had been answered', async () => {
  const window = openWindow();
  await window.run('mutation { signUp }', signedUp('t1'));
  await window.run('mutation { createRoom }', { data: { createRoom: { room: { id: 'R1' } } } });
  await window.run('mutation { signUp }', signedUp('t2', { user: 'U2' }));
  const result = await window.run('{ a }', [], { variables: { id: '{{createRoom.room.id}}' } });
  expect(result).toHaveProperty('errors');
});

test('a reload loses nothing', async () => {
  const storage = new Map<string, string>();
  await openWindow(storage).run('mutation { signUp }', signedUp('t1'));
  windows.clear();
  const reloaded = openWindow(storage);
  expect(reloaded.status()).toBe('signed in as @u1');
});

test('a second window knows what the first one knows, and the other way round', async () => {
  const first = openWindow();
  await first.run('mutation { signUp }', signedUp('t1'));
  const second = openWindow();
  expect(second.status()).toBe('signed in as @u1');
  await second.run('mutation { refreshSession }', { data: { refreshSession: session('t2') } });
  await first.run('{ viewer { id } }');
  expect(first.authorization()).toBe('Bearer t2');
});

test('an answer that is no JSON is shown with its status', async () => {
  const window = openWindow();
  const fetcher = openConsole(
    {
      post: () => Promise.resolve({ status: 502, text: () => Promise.resolve('Bad Gateway') }),
      openSocket: () => {
        throw new Error('not used');
      },
      storage: { getItem: () => null, setItem: () => undefined },
      channel: { postMessage: () => undefined, onmessage: null },
      say: () => undefined,
    },
    {},
    { follow, operationsOf, fillVariables },
  );
  expect(window.sent).toEqual([]);
  expect(await fetcher({ query: '{ a }' })).toEqual({
    errors: [{ message: 'The server answered 502: Bad Gateway' }],
  });
});

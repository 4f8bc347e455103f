import { inMemory, inStorage, Session, type Tokens } from 'parley/client';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { Wire } from '../support/wire.js';

let app: App;
let wire: Wire;
let url: string;
let user: Client;

beforeAll(async () => {
  app = await startParley();
  wire = await Wire.to(app.url);
  url = `${wire.url}/graphql`;
});
afterAll(async () => {
  await wire[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});
beforeEach(async () => {
  wire.mend();
  user = await signUp(app.url);
});

const SIGN_OUT = 'mutation ($token: String!) { signOut(input: { refreshToken: $token }) { userId } }';
const REFRESH =
  'mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { accessToken } }';

const in15Minutes = (): string => new Date(Date.now() + 900_000).toISOString();
const tokensOf = ({ token = '', refreshToken }: Client): Tokens => ({
  accessToken: token,
  accessTokenExpiresAt: in15Minutes(),
  refreshToken,
});
/** Tokens of which the first has run out. */
const stale = (tokens: Tokens): Tokens => ({
  ...tokens,
  accessToken: 'run out',
  accessTokenExpiresAt: new Date().toISOString(),
});

/** A browser's storage. */
function storageOf(before: Record<string, string> = {}) {
  const items = new Map(Object.entries(before));
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

function signedIn(tokens: Tokens, store = inMemory()): Session {
  const session = new Session(url, store);
  session.set(tokens);
  return session;
}

/** Whom the server takes the session for. */
async function viewer(session: Session): Promise<string | undefined> {
  const response = await session.fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ viewer { user { handle } } }' }),
  });
  const { data } = (await response.json()) as { data?: { viewer?: { user: { handle: string } } | null } };
  return data?.viewer?.user.handle;
}

describe('a session', () => {
  test('is nobody before a sign-in, and after it was forgotten', async () => {
    const session = new Session(url);
    expect(await viewer(session)).toBeUndefined();
    session.set(tokensOf(user));
    expect(await viewer(session)).toBe(user.handle);
    session.set(undefined);
    expect(await viewer(session)).toBeUndefined();
  });

  test('refreshes its token before it runs out, once for all who ask at the same time', async () => {
    const session = signedIn(stale(tokensOf(user)));
    const asked = vi.spyOn(globalThis, 'fetch');
    const tokens = await Promise.all([session.accessToken(), session.accessToken(), session.accessToken()]);
    expect(asked).toHaveBeenCalledTimes(1);
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).not.toBe('run out');
    expect(await viewer(session)).toBe(user.handle);
  });

  test('gets a fresh token for one that the server refuses, and asks again', async () => {
    const session = signedIn({ ...tokensOf(user), accessToken: 'from another time' });
    expect(await viewer(session)).toBe(user.handle);
    expect(await session.accessToken()).not.toBe('from another time');
  });

  test('stays signed in while the server is away', async () => {
    const session = signedIn(stale(tokensOf(user)));
    wire.cut();
    expect(await session.accessToken()).toBe('run out');
    await expect(viewer(session)).rejects.toThrow();
    wire.mend();
    expect(await viewer(session)).toBe(user.handle);
    expect(await session.accessToken()).not.toBe('run out');
  });

  test('ends when its refresh token is good no longer', async () => {
    const session = signedIn(stale(tokensOf(user)));
    await user.run(SIGN_OUT, { token: user.refreshToken });
    expect(await session.accessToken()).toBeUndefined();
    expect(session.signedIn).toBe(false);
  });

  test('tells once that it was ended, and not while the server is away', async () => {
    const onEnd = vi.fn();
    const session = new Session(url, inMemory(), { onEnd });
    session.set(stale(tokensOf(user)));
    wire.cut();
    await session.accessToken();
    wire.mend();
    expect(onEnd).not.toHaveBeenCalled();
    await user.run(SIGN_OUT, { token: user.refreshToken });
    await Promise.all([session.accessToken(), viewer(session), session.accessToken()]);
    expect(session.signedIn).toBe(false);
    expect(onEnd).toHaveBeenCalledTimes(1);
  });

  test('signs out, here and on the server, also while it is refreshed', async () => {
    const onEnd = vi.fn();
    const session = new Session(url, inMemory(), { onEnd });
    session.set(stale(tokensOf(user)));
    const refreshed = session.accessToken();
    expect(await session.signOut()).toBe(true);
    expect(await refreshed).toBeUndefined();
    expect(session.signedIn).toBe(false);
    expect(await viewer(session)).toBeUndefined();
    expect(await user.refusal(REFRESH, { token: user.refreshToken })).toBe('UNAUTHENTICATED');
    expect(onEnd).not.toHaveBeenCalled();
  });

  test('has signed out where there is nothing left to end', async () => {
    const session = signedIn(tokensOf(user));
    await user.run(SIGN_OUT, { token: user.refreshToken });
    expect(await session.signOut()).toBe(true);
    expect(await session.signOut()).toBe(true);
  });

  test('signs out here alone while the server is away, and says so', async () => {
    const session = signedIn(tokensOf(user));
    wire.cut();
    expect(await session.signOut()).toBe(false);
    expect(session.signedIn).toBe(false);
    wire.mend();
    expect(await viewer(session)).toBeUndefined();
  });

  test('refreshes once where the clock here is ahead of all that the server gives', async () => {
    const session = signedIn(stale(tokensOf(user)));
    const hourAhead = Date.now() + 3_600_000;
    vi.spyOn(Date, 'now').mockImplementation(() => hourAhead);
    onTestFinished(() => void vi.restoreAllMocks());
    const asked = vi.spyOn(globalThis, 'fetch');
    const first = await session.accessToken();
    expect(await session.accessToken()).toBe(first);
    expect(asked).toHaveBeenCalledTimes(1);
    session.refuse(first!);
    await session.accessToken();
    expect(asked).toHaveBeenCalledTimes(2);
  });

  test('asks again for an answer that was lost, however long after', async () => {
    const session = signedIn(stale(tokensOf(user)));
    // It reaches the server, and the answer nobody.
    const { refreshSession } = await user.run(REFRESH.replace('accessToken }', 'refreshToken }'), {
      token: user.refreshToken,
    });
    expect(await viewer(session)).toBe(user.handle);
    expect(refreshSession.refreshToken).not.toBe(user.refreshToken);
  });

  test('goes on in a tab that began with a copy, however far the other one is', async () => {
    const expired = { ...tokensOf(user), accessTokenExpiresAt: new Date().toISOString() };
    const one = signedIn(expired, inStorage(storageOf()));
    const copy = storageOf({ parley: JSON.stringify(expired) });
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 3; i++) {
      const token = await one.accessToken();
      seen.add(token);
      one.refuse(token!);
      // A token is as many seconds old as it says.
      await new Promise((resolve) => setTimeout(resolve, 1100));
    }
    expect(seen.size).toBe(3);
    // It has slept until now, and was told nothing.
    const other = new Session(url, inStorage(copy));
    expect(await viewer(other)).toBe(user.handle);
    expect(await viewer(one)).toBe(user.handle);
    other.refuse((await other.accessToken())!);
    expect(await viewer(other)).toBe(user.handle);
    await expect.poll(() => one.accessToken()).toBe(await other.accessToken());
  });

  test('tells no tab of tokens that are kept in memory, nor of another sign-in', async () => {
    const channel = new BroadcastChannel(`parley ${url}`);
    onTestFinished(() => channel.close());
    const heard = vi.fn();
    channel.addEventListener('message', heard);
    const session = signedIn(stale(tokensOf(user)));
    await session.accessToken();
    const { sid } = JSON.parse(atob(user.token!.split('.')[1]!)) as { sid: string };
    channel.postMessage({ session: sid });
    const other = await signUp(app.url);
    const kept = storageOf({ parley: JSON.stringify(tokensOf(other)) });
    new Session(url, inStorage(kept));
    channel.postMessage({ session: sid, tokens: { ...tokensOf(user), accessTokenExpiresAt: '9999' } });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(heard).not.toHaveBeenCalled();
    expect(JSON.parse(kept.getItem('parley')!)).toMatchObject({ refreshToken: other.refreshToken });
  });

  test('is shared by tabs through the storage of the browser', async () => {
    const storage = storageOf();
    const one = signedIn(stale(tokensOf(user)), inStorage(storage));
    const other = new Session(url, inStorage(storage));
    const [first, second] = await Promise.all([one.accessToken(), other.accessToken()]);
    expect(await one.accessToken()).toBe(await other.accessToken());
    expect(first).not.toBe('run out');
    expect(second).not.toBe('run out');
    other.set(undefined);
    expect(one.signedIn).toBe(false);
  });

  describe('of one of several tabs', () => {
    /** A tab, with what it is told. */
    function tab(storage: ReturnType<typeof storageOf>) {
      const [onEnd, onChange] = [vi.fn(), vi.fn()];
      return { session: new Session(url, inStorage(storage), { onEnd, onChange }), onEnd, onChange };
    }

    test('never sends what another person has signed in with in another tab, and says so', async () => {
      const storage = storageOf({ parley: JSON.stringify(tokensOf(user)) });
      const [here, there] = [tab(storage), tab(storage)];
      const other = await signUp(app.url);
      await there.session.signOut();
      there.session.set(tokensOf(other));
      expect(await viewer(here.session)).toBeUndefined();
      expect(here.session.signedIn).toBe(false);
      expect(here.onChange).toHaveBeenCalledTimes(1);
      // What is not this person's stays where it is.
      expect(await here.session.signOut()).toBe(true);
      here.session.set(undefined);
      expect(await viewer(there.session)).toBe(other.handle);

      here.session.adopt();
      expect(await viewer(here.session)).toBe(other.handle);
      expect(here.onChange).toHaveBeenCalledTimes(1);
      expect(there.onEnd).not.toHaveBeenCalled();
    });

    test('sends nothing of the other person either when a refresh is under way', async () => {
      const storage = storageOf({
        parley: JSON.stringify({ ...tokensOf(user), accessTokenExpiresAt: '2000' }),
      });
      const [here, there] = [tab(storage), tab(storage)];
      const other = tokensOf(await signUp(app.url));
      const asked = here.session.accessToken();
      there.session.set(other);
      expect(await asked).toBeUndefined();
    });

    test('sends what one person has begun as nobody else, where another one signs in before it is sent', async () => {
      const storage = storageOf({
        parley: JSON.stringify({ ...tokensOf(user), accessTokenExpiresAt: '2000' }),
      });
      const { session } = tab(storage);
      const other = tokensOf(await signUp(app.url));
      const answer = viewer(session);
      session.set(other);
      expect(await answer).toBeUndefined();
      expect(await viewer(session)).toBeDefined();
    });

    test('asks the server before it ends with a tab that slept for long', async () => {
      const storage = storageOf({ parley: JSON.stringify(tokensOf(user)) });
      const { session, onEnd } = tab(storage);
      const { sid } = JSON.parse(atob(user.token!.split('.')[1]!)) as { sid: string };
      const channel = new BroadcastChannel(`parley ${url}`);
      onTestFinished(() => channel.close());
      channel.postMessage({ session: sid, refused: 'one from long ago' });
      await expect.poll(() => session.accessToken()).not.toBe(user.token);
      expect(await viewer(session)).toBe(user.handle);
      expect(onEnd).not.toHaveBeenCalled();
      // Its own.
      const { refreshToken } = JSON.parse(storage.getItem('parley')!) as Tokens;
      channel.postMessage({ session: sid, refused: refreshToken });
      await expect.poll(() => onEnd.mock.calls.length).toBe(1);
    });

    test('is told at once when another tab signs out, whether they share a store or have copies of it', async () => {
      const text = JSON.stringify(tokensOf(user));
      const shared = storageOf({ parley: text });
      const [here, there, copy] = [tab(shared), tab(shared), tab(storageOf({ parley: text }))];
      await there.session.signOut();
      await expect.poll(() => [here.onEnd, copy.onEnd].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
      for (const { session, onChange } of [here, copy]) {
        expect(session.signedIn).toBe(false);
        expect(onChange).not.toHaveBeenCalled();
      }
      expect(there.onEnd).not.toHaveBeenCalled();
    });

    test('is told when another tab signs in, and uses that where it has shown nobody else', async () => {
      const storage = storageOf();
      const [here, there] = [tab(storage), tab(storage)];
      there.session.set(tokensOf(user));
      await expect.poll(() => here.onChange.mock.calls.length).toBe(1);
      expect(await viewer(here.session)).toBe(user.handle);
      expect(there.onChange).not.toHaveBeenCalled();
    });

    test('goes on without a word when the same person comes back or is refreshed', async () => {
      const storage = storageOf({
        parley: JSON.stringify({ ...tokensOf(user), accessTokenExpiresAt: '2000' }),
      });
      const [here, there] = [tab(storage), tab(storage)];
      await there.session.accessToken();
      expect(await viewer(here.session)).toBe(user.handle);
      expect(here.onChange).not.toHaveBeenCalled();
      expect(here.onEnd).not.toHaveBeenCalled();
    });

    test('is told when another person signs in here, also after a sign-out, and not when the same one does', async () => {
      const { session, onChange } = tab(storageOf({ parley: JSON.stringify(tokensOf(user)) }));
      await session.signOut();
      session.set(tokensOf(user));
      expect(onChange).not.toHaveBeenCalled();
      await session.signOut();
      const other = await signUp(app.url);
      session.set(tokensOf(other));
      expect(onChange).toHaveBeenCalledTimes(1);
      expect(await viewer(session)).toBe(other.handle);
    });
  });
});

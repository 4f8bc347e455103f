import { Tabs } from './tabs.js';

/** What `signUp`, `signIn` and `refreshSession` answer, as far as it is needed to stay signed in. */
export interface Tokens {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: string;
  readonly refreshToken: string;
}

/** Where the tokens of a sign-in are kept. */
export interface TokenStore {
  /** Another tab may have a copy: it is told of new tokens, and asked for them. */
  readonly isCopied?: boolean;
  get(): Tokens | undefined;
  set(tokens: Tokens | undefined): void;
}

/** Keeps the tokens for as long as the page is open. */
export function inMemory(): TokenStore {
  let kept: Tokens | undefined;
  return {
    get: () => kept,
    set: (tokens) => {
      kept = tokens;
    },
  };
}

/** Keeps the tokens in `localStorage` or `sessionStorage`. */
export function inStorage(storage: TextStorage, key = 'parley'): TokenStore {
  return {
    isCopied: true,
    get: () => {
      const text = storage.getItem(key);
      return text === null ? undefined : (JSON.parse(text) as Tokens);
    },
    set: (tokens) => {
      if (tokens === undefined) storage.removeItem(key);
      else storage.setItem(key, JSON.stringify(tokens));
    },
  };
}

/** What is needed of the browser's Storage. */
interface TextStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Milliseconds before its end at which an access token is replaced. */
const MARGIN_MS = 60_000;

/** Milliseconds that the server has to answer; then the old token has to do, and a sign-out goes without it. */
const ANSWER_MS = 20_000;

const REFRESH = `mutation Refresh($input: RefreshSessionInput!) {
  refreshSession(input: $input) { accessToken accessTokenExpiresAt refreshToken }
}`;

const SIGN_OUT = `mutation SignOut($input: SignOutInput!) { signOut(input: $input) { userId } }`;

export interface SessionOptions {
  /**
   * Told when the server has ended the sign-in: its refresh token was refused, and the tokens are forgotten. The place to show the
   * page that signs in. Not told of `signOut` and `set`, which whoever calls them knows of.
   */
  readonly onEnd?: () => void;
}

/** One sign-in: its access token is refreshed before it runs out, and when the server refuses it. */
export class Session {
  private readonly refreshing = new Map<string, Promise<void>>();
  private refusedToken: string | undefined;
  /** Fresh from the server, and old by the clock here: then that is wrong. */
  private freshToken: string | undefined;
  private readonly tabs: Tabs | undefined;

  /** `url`: of the GraphQL endpoint. */
  constructor(
    readonly url: string,
    private readonly store: TokenStore = inMemory(),
    private readonly options: SessionOptions = {},
  ) {
    if (store.isCopied === true && typeof BroadcastChannel !== 'undefined')
      this.tabs = new Tabs(`parley ${url}`, store);
  }

  get signedIn(): boolean {
    return this.store.get() !== undefined;
  }

  /** Takes over what a sign-up or sign-in answered; undefined forgets it. */
  set(tokens: Tokens | undefined): void {
    this.store.set(tokens);
  }

  /**
   * Signs out: here at once, whatever becomes of the rest, and on the server, which ends every token of the sign-in and cuts its
   * connections. Answers whether the server has done so; where it cannot be reached, it knows the sign-in until that runs out.
   */
  async signOut(): Promise<boolean> {
    const tokens = this.store.get();
    if (tokens === undefined) return true;
    this.set(undefined);
    const { refreshToken } = tokens;
    const answer = await this.ask<{ signOut: unknown }>(SIGN_OUT, { refreshToken });
    return answer?.data?.signOut != null || isRefused(answer);
  }

  /** The best token that can be had: undefined when signed out, the old one when the server cannot be asked for a new one. */
  async accessToken(): Promise<string | undefined> {
    const tokens = this.store.get();
    if (tokens !== undefined && this.isStale(tokens)) await this.refresh(tokens);
    return this.store.get()?.accessToken;
  }

  /** The server did not accept this access token, whatever the clock here says. */
  refuse(accessToken: string): void {
    this.refusedToken = accessToken;
  }

  /** `fetch` for GraphQL clients: signed in, preflighted, and tried again with a fresh token when this one is refused. */
  readonly fetch: typeof fetch = async (input, init) => {
    const token = await this.accessToken();
    const response = await this.send(input, init, token);
    if (response.status !== 401 || token === undefined) return response;
    this.refuse(token);
    const fresh = await this.accessToken();
    return fresh === undefined || fresh === token ? response : this.send(input, init, fresh);
  };

  private send(
    input: Parameters<typeof fetch>[0],
    init: Parameters<typeof fetch>[1],
    token: string | undefined,
  ): Promise<Response> {
    const headers = new Headers(init?.headers);
    // Uploads and GET are only taken from scripts, which a form on another page cannot pretend to be.
    headers.set('apollo-require-preflight', 'true');
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    return fetch(input, { ...init, headers });
  }

  private isStale({ accessToken, accessTokenExpiresAt }: Tokens): boolean {
    if (accessToken === this.refusedToken) return true;
    return accessToken !== this.freshToken && Date.parse(accessTokenExpiresAt) - Date.now() < MARGIN_MS;
  }

  /** Once for all who ask at the same time: a refresh token is good for one refresh. */
  private async refresh({ refreshToken }: Tokens): Promise<void> {
    const under =
      this.refreshing.get(refreshToken) ??
      this.exchange(refreshToken).finally(() => this.refreshing.delete(refreshToken));
    this.refreshing.set(refreshToken, under);
    await under;
  }

  private async exchange(refreshToken: string): Promise<void> {
    await this.tabs?.ask();
    if (this.store.get()?.refreshToken !== refreshToken) return;
    const answer = await this.ask<{ refreshSession: Tokens | null }>(REFRESH, { refreshToken });
    // Another sign-in, or another tab, may have been faster.
    if (this.store.get()?.refreshToken !== refreshToken) return;
    if (answer?.data?.refreshSession != null) {
      const fresh = answer.data.refreshSession;
      if (this.isStale(fresh)) this.freshToken = fresh.accessToken;
      this.set(fresh);
      this.tabs?.tell();
    } else if (isRefused(answer)) {
      this.set(undefined);
      this.options.onEnd?.();
    }
  }

  /** Undefined when the server does not answer. */
  private async ask<Data>(query: string, input: Record<string, string>): Promise<Answer<Data> | undefined> {
    try {
      const response = await fetch(this.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables: { input } }),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return (await response.json()) as Answer<Data>;
    } catch {
      return undefined;
    }
  }
}

interface Answer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
}

/** Whether the server knows the token no longer. */
const isRefused = (answer: Answer<unknown> | undefined): boolean =>
  answer?.errors?.[0]?.extensions?.code === 'UNAUTHENTICATED';

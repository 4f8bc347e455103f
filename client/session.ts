/** What `signUp`, `signIn` and `refreshSession` answer, as far as it is needed to stay signed in. */
export interface Tokens {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: string;
  readonly refreshToken: string;
}

/** Where the tokens of a sign-in are kept. Tabs that share a sign-in must share its store. */
export interface TokenStore {
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

/** Milliseconds that a refresh may take; then the old token has to do. */
const REFRESH_MS = 20_000;

const REFRESH = `mutation Refresh($input: RefreshSessionInput!) {
  refreshSession(input: $input) { accessToken accessTokenExpiresAt refreshToken }
}`;

/** One sign-in: its access token is refreshed before it runs out, and when the server refuses it. */
export class Session {
  private readonly refreshing = new Map<string, Promise<void>>();
  private refusedToken: string | undefined;

  /** `url`: of the GraphQL endpoint. */
  constructor(
    readonly url: string,
    private readonly store: TokenStore = inMemory(),
  ) {}

  get signedIn(): boolean {
    return this.store.get() !== undefined;
  }

  /** Takes over what a sign-up or sign-in answered; undefined forgets it. */
  set(tokens: Tokens | undefined): void {
    this.store.set(tokens);
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
    return accessToken === this.refusedToken || Date.parse(accessTokenExpiresAt) - Date.now() < MARGIN_MS;
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
    let answer: RefreshAnswer;
    try {
      const response = await fetch(this.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: REFRESH, variables: { input: { refreshToken } } }),
        signal: AbortSignal.timeout(REFRESH_MS),
      });
      answer = (await response.json()) as RefreshAnswer;
    } catch {
      return;
    }
    // Another sign-in, or another tab, may have been faster.
    if (this.store.get()?.refreshToken !== refreshToken) return;
    if (answer.data?.refreshSession != null) this.set(answer.data.refreshSession);
    else if (answer.errors?.[0]?.extensions?.code === 'UNAUTHENTICATED') this.set(undefined);
  }
}

interface RefreshAnswer {
  readonly data?: { readonly refreshSession?: Tokens | null } | null;
  readonly errors?: readonly { readonly extensions?: { readonly code?: string } }[];
}

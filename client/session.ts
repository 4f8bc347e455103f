import { claimsOf } from './claims.js';
import { inMemory, type Tokens, type TokenStore } from './stores.js';
import { Tabs } from './tabs.js';
import { onWake } from './wake.js';

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
   * Called when the sign-in has ended without this page: the server refused its refresh token, or another tab
   * signed out. The place to show the page that signs in. Not called for `signOut` and `set`: the caller knows
   * of these.
   */
  readonly onEnd?: () => void;
  /**
   * Called when another person has signed in than the one that this page has shown, here by `set` or in another
   * tab. Clear what the page has cached and shown, for example by `location.reload()`. Until then the session
   * does not use what another tab has signed in with, and is signed out; `adopt` takes it over without a
   * reload. Also called when a tab that was signed out is signed in by another one, which the session then uses
   * at once.
   */
  readonly onChange?: () => void;
}

/**
 * One sign-in: its access token is refreshed before it runs out, and when the server refuses it. It belongs to
 * one user: tokens of another one that another tab has put into the same store are not sent.
 */
export class Session {
  private readonly refreshing = new Map<string, Promise<void>>();
  private readonly listeners = new Set<() => void>();
  private refusedToken: string | undefined;
  /** Fresh from the server, and old by the clock here: then that is wrong. */
  private freshToken: string | undefined;
  private readonly tabs: Tabs | undefined;
  /** Whose data this page may show. Signing out does not clear what is shown. */
  private owner: string | undefined;
  /** The user of the sign-in that was noticed last; null when there was none. */
  private noticed: string | null;

  /** `url`: of the GraphQL endpoint. */
  constructor(
    readonly url: string,
    private readonly store: TokenStore = inMemory(),
    private readonly options: SessionOptions = {},
  ) {
    const tokens = store.get();
    this.owner = userOf(tokens);
    this.noticed = nameOf(tokens);
    if (store.isCopied !== true) return;
    const look = (): void => this.notice();
    store.watch?.(look);
    // A page that was frozen, or comes back from the history, has heard nothing.
    onWake(look);
    if (typeof BroadcastChannel !== 'undefined')
      this.tabs = new Tabs(`parley ${url}`, store, {
        changed: look,
        doubted: (token) => this.refuse(token),
      });
  }

  get signedIn(): boolean {
    return this.own() !== undefined;
  }

  /** The user that requests go out as, by what the access token says; undefined when signed out. */
  get user(): string | undefined {
    return userOf(this.own());
  }

  /**
   * Takes over what a sign-up or sign-in answered; undefined forgets it. `onChange` is called when that is
   * another person than the one before.
   */
  set(tokens: Tokens | undefined): void {
    if (tokens === undefined) {
      if (this.own() === undefined) return;
      this.store.set(undefined);
      this.noticed = null;
      this.tellListeners();
      return;
    }
    const former = this.owner;
    this.store.set(tokens);
    this.take(tokens);
    this.tabs?.report('changed', tokens);
    if (former !== undefined && former !== this.owner) this.options.onChange?.();
  }

  /**
   * Uses the sign-in of another person that another tab has begun. Call it when what was cached and shown of
   * the person before is gone.
   */
  adopt(): void {
    this.take(this.store.get());
  }

  /** Calls back when requests begin to go out as another user, or as none. Returns how to stop that. */
  onUser(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Signs out: here at once, whatever becomes of the rest, and on the server, which ends every token of the
   * sign-in and cuts its connections. Answers whether the server has done so; where it cannot be reached, it
   * knows the sign-in until that runs out.
   */
  async signOut(): Promise<boolean> {
    const tokens = this.own();
    if (tokens === undefined) return true;
    this.set(undefined);
    this.tabs?.report('over', tokens);
    const { refreshToken } = tokens;
    const answer = await this.ask<{ signOut: unknown }>(SIGN_OUT, { refreshToken });
    return answer?.data?.signOut != null || isRefused(answer);
  }

  /**
   * The best token that can be had: undefined when signed out, the old one when the server cannot be asked for
   * a new one.
   */
  async accessToken(): Promise<string | undefined> {
    const tokens = this.own();
    if (tokens !== undefined && this.isStale(tokens)) await this.refresh(tokens);
    return this.own()?.accessToken;
  }

  /** The server did not accept this access token, whatever the clock here says. */
  refuse(accessToken: string): void {
    this.refusedToken = accessToken;
  }

  /**
   * `fetch` for GraphQL clients: signed in, preflighted, and tried again with a fresh token when this one is
   * refused.
   */
  readonly fetch: typeof fetch = async (input, init) => {
    const { user } = this;
    const token = this.tokenFor(user, await this.accessToken());
    const response = await this.send(input, init, token);
    if (response.status !== 401 || token === undefined) return response;
    this.refuse(token);
    const fresh = this.tokenFor(user, await this.accessToken());
    return fresh === undefined || fresh === token ? response : this.send(input, init, fresh);
  };

  /** The token, unless the user has changed since the request began: it does not go out as another one. */
  private tokenFor(user: string | undefined, token: string | undefined): string | undefined {
    return user === undefined || claimsOf(token).sub === user ? token : undefined;
  }

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
      this.store.set(fresh);
      this.take(fresh);
      this.tabs?.tell();
    } else if (isRefused(answer)) {
      const ended = this.store.get();
      this.set(undefined);
      this.tabs?.refused(ended);
      this.options.onEnd?.();
    }
  }

  /** The tokens that the store has, unless they are another person's. */
  private own(): Tokens | undefined {
    this.notice();
    const tokens = this.store.get();
    return this.mayUse(tokens) ? tokens : undefined;
  }

  /** What cannot be read is taken for the owner's: the server decides about it. */
  private mayUse(tokens: Tokens | undefined): boolean {
    const user = userOf(tokens);
    return user === undefined || this.owner === undefined || user === this.owner;
  }

  /** These tokens are used from now on, and what is shown from now on is their user's. */
  private take(tokens: Tokens | undefined): void {
    const [noticed, owner] = [this.noticed, this.owner];
    this.noticed = nameOf(tokens);
    this.owner = userOf(tokens) ?? this.owner;
    const isKnown = noticed !== '' && noticed !== this.noticed;
    if (isKnown || (owner !== undefined && owner !== this.owner)) this.tellListeners();
  }

  /** Looks whether another tab has changed the sign-in, and says so once. */
  private notice(): void {
    const tokens = this.store.get();
    const found = nameOf(tokens);
    const former = this.noticed;
    if (found === former) return;
    this.noticed = found;
    if (this.mayUse(tokens)) this.owner = userOf(tokens) ?? this.owner;
    // Of a token that cannot be read nothing is known that could have changed.
    const isUnknown = found !== null && former !== null && (found === '' || former === '');
    if (isUnknown && this.mayUse(tokens)) return;
    this.tellListeners();
    if (found === null) this.options.onEnd?.();
    else this.options.onChange?.();
  }

  private tellListeners(): void {
    for (const listener of [...this.listeners]) listener();
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

/** The user that tokens belong to, as the access token says. */
const userOf = (tokens: Tokens | undefined): string | undefined => claimsOf(tokens?.accessToken).sub;

/** The same; empty where the token does not say, and null where there are no tokens. */
const nameOf = (tokens: Tokens | undefined): string | null =>
  tokens === undefined ? null : (userOf(tokens) ?? '');

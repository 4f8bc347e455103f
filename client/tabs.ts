import { claimsOf } from './claims.js';
import type { Tokens, TokenStore } from './stores.js';

/** Milliseconds in which other tabs answer. */
const ANSWER_MS = 100;

/**
 * What tabs tell each other of a sign-in: its newest tokens, that it is over, that the store has changed, or
 * which of its refresh tokens the server has refused. Without any of these it is a question for the newest
 * tokens.
 */
interface Word {
  readonly session: string;
  readonly tokens?: Tokens;
  readonly news?: 'over' | 'changed';
  readonly refused?: string;
}

/** What a tab is called back for. */
interface Listener {
  /** The store may have changed. */
  changed(): void;
  /** The sign-in of this access token may be over: the server is to be asked. */
  doubted(accessToken: string): void;
}

/**
 * Keeps the tabs of a browser in step. Those with `localStorage` share one sign-in, and learn here that it has
 * changed. A tab that was opened by another one, or duplicated, begins with a copy of its `sessionStorage`;
 * once one of them is two refresh tokens ahead, the server takes the other's for stolen and ends the sign-in.
 */
export class Tabs {
  private readonly channel: BroadcastChannel;

  /** `store`: this tab's. `name`: the same in all tabs of the same server. */
  constructor(
    name: string,
    private readonly store: TokenStore,
    private readonly listener: Listener,
  ) {
    this.channel = new BroadcastChannel(name);
    this.channel.addEventListener('message', ({ data }) => this.hear(data as Word));
    // In Node it would keep the process alive.
    (this.channel as { unref?: () => void }).unref?.();
  }

  /** Resolves when other tabs had the time to tell of newer tokens, which are in the store then. */
  async ask(): Promise<void> {
    const session = sessionOf(this.store.get());
    if (session === undefined) return;
    this.say({ session });
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
  }

  /** Tells the others what this tab has. */
  tell(): void {
    const tokens = this.store.get();
    const session = sessionOf(tokens);
    if (tokens !== undefined && session !== undefined) this.say({ session, tokens });
  }

  /** Tells the others that this sign-in is over (`over`), or that the store has another one (`changed`). */
  report(news: 'over' | 'changed', tokens: Tokens | undefined): void {
    const session = sessionOf(tokens);
    if (session !== undefined) this.say({ session, news });
  }

  /** Tells the others that the server has refused the refresh token of these. */
  refused(tokens: Tokens | undefined): void {
    const session = sessionOf(tokens);
    if (tokens !== undefined && session !== undefined) this.say({ session, refused: tokens.refreshToken });
  }

  private say(word: Word): void {
    this.channel.postMessage(word);
  }

  private hear({ session, tokens, news, refused }: Word): void {
    const own = this.store.get();
    if (own !== undefined && sessionOf(own) === session) {
      if (news === 'over' || refused === own.refreshToken) this.store.set(undefined);
      // One that slept for long may have had an old one.
      else if (refused !== undefined) this.listener.doubted(own.accessToken);
      else if (tokens !== undefined && tokens.accessTokenExpiresAt > own.accessTokenExpiresAt)
        this.store.set(tokens);
      else if (tokens === undefined && news === undefined) this.tell();
    }
    this.listener.changed();
  }
}

/** The sign-in that tokens belong to, as the access token says. */
const sessionOf = (tokens: Tokens | undefined): string | undefined => claimsOf(tokens?.accessToken).sid;

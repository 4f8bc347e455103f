import type { Tokens, TokenStore } from './session.js';

/** Milliseconds in which other tabs answer. */
const ANSWER_MS = 100;

/** What tabs tell each other of a sign-in: its newest tokens, or without them a question for those. */
interface Word {
  readonly session: string;
  readonly tokens?: Tokens;
}

/**
 * Keeps copies of a sign-in in step. A tab that was opened by another one, or duplicated, begins with a copy of its `sessionStorage`; once
 * one of them is two refresh tokens ahead, the server takes the other's for stolen and ends the sign-in.
 */
export class Tabs {
  private readonly channel: BroadcastChannel;

  /** `store`: this tab's. `name`: the same in all tabs of the same server. */
  constructor(
    name: string,
    private readonly store: TokenStore,
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
    this.channel.postMessage({ session } satisfies Word);
    await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
  }

  /** Tells the others what this tab has. */
  tell(): void {
    const tokens = this.store.get();
    const session = sessionOf(tokens);
    if (tokens !== undefined && session !== undefined)
      this.channel.postMessage({ session, tokens } satisfies Word);
  }

  private hear({ session, tokens }: Word): void {
    const own = this.store.get();
    if (own === undefined || sessionOf(own) !== session) return;
    if (tokens === undefined) this.tell();
    else if (tokens.accessTokenExpiresAt > own.accessTokenExpiresAt) this.store.set(tokens);
  }
}

/** The sign-in that tokens belong to, as the access token says. */
function sessionOf(tokens: Tokens | undefined): string | undefined {
  try {
    const payload = tokens?.accessToken.split('.')[1]?.replaceAll('-', '+').replaceAll('_', '/') ?? '';
    const { sid } = JSON.parse(atob(payload)) as { sid?: unknown };
    return typeof sid === 'string' ? sid : undefined;
  } catch {
    return undefined;
  }
}

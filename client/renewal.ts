import type { Client } from 'graphql-ws/client';
import { claimsOf } from './claims.js';
import type { Session } from './session.js';

/** A token is replaced this long before its end, in milliseconds, or after three quarters of a life that is shorter than that allows. */
const MARGIN_MS = 45_000;
/** Milliseconds until the next attempt when there is no fresh token to be had, or the clock here calls a fresh one old. */
const AGAIN_MS = 10_000;
/** What a timer can wait for at most. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const RENEW = `mutation Renew($input: RenewConnectionInput!) { renewConnection(input: $input) { expiresAt } }`;

/**
 * Keeps a connection signed in: before its token runs out, a fresh one is sent over it with `renewConnection`, so that nothing
 * has to connect again. Where that fails the server closes the socket when the token ends, and the client comes back with another.
 */
export class Renewal {
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `onRenewed` is told the token that the connection is signed in with from now on. */
  constructor(
    private readonly client: Client,
    private readonly session: Session,
    private readonly onRenewed: (token: string) => void,
  ) {}

  /** The connection was opened with this token. */
  begin(token: string | undefined): void {
    this.end();
    const left = token === undefined ? NaN : expiryOf(token) - Date.now();
    if (token === undefined || Number.isNaN(left)) return;
    this.wait(token, left > 0 ? left - Math.min(MARGIN_MS, left / 4) : AGAIN_MS);
  }

  /** The connection is over. */
  end(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private wait(token: string, ms: number): void {
    const timer = setTimeout(() => void this.renew(token, timer), Math.min(ms, LONGEST_TIMER_MS));
    this.timer = timer;
  }

  private async renew(old: string, timer: unknown): Promise<void> {
    const token = await this.session.accessToken();
    // The connection was lost since, and with it what there was to renew.
    if (this.timer !== timer || token === undefined) return;
    if (token === old) {
      this.wait(old, AGAIN_MS);
      return;
    }
    this.client.subscribe(
      { query: RENEW, variables: { input: { accessToken: token } } },
      {
        next: ({ errors }) => {
          if (this.timer !== timer) return;
          if (errors !== undefined) {
            this.wait(old, AGAIN_MS);
            return;
          }
          this.onRenewed(token);
          this.begin(token);
        },
        // The server says what is wrong when it closes the socket.
        error: () => undefined,
        complete: () => undefined,
      },
    );
  }
}

/** When a JSON Web Token runs out, in milliseconds since 1970. NaN when it does not say. */
const expiryOf = (token: string): number => (claimsOf(token).exp ?? NaN) * 1000;

import type { ParleyError } from './errors.js';

/** Who sent a request, as their access token says. */
export interface Viewer {
  readonly id: string;
  /** The sign-in that the token belongs to; undefined for an identity provider's token. */
  readonly sessionId: string | undefined;
  /** Milliseconds since the epoch, by the database's clock. */
  readonly tokenExpiresAt: number;
  /** The same by `performance.now()`, which no jump of a clock moves. */
  readonly tokenEndsAt: number;
}

/** The token that came with a request: none, a good one, or one that is bad or cannot be checked now, with the reason. */
export type Authentication =
  | { readonly kind: 'none' }
  | { readonly kind: 'viewer'; readonly viewer: Viewer }
  | { readonly kind: 'refused'; readonly error: ParleyError };

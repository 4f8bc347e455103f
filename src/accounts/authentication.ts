import type { Clock } from '../db/clock.js';
import { ParleyError, unauthenticated } from '../errors.js';
import type { Authentication, Viewer } from '../viewer.js';
import { IdentityProvider } from './identity-provider.js';
import type { Tokens } from './tokens.js';

const NONE: Authentication = { kind: 'none' };

/**
 * Says whom an access token stands for: one of ours, or of the identity provider where one is configured. Of ours at once, since a promise
 * for each of the functions that hand it on would cost as much as the look.
 */
export class Authenticator {
  constructor(
    private readonly tokens: Tokens,
    private readonly provider: IdentityProvider | undefined,
    private readonly clock: Pick<Clock, 'monotonic'>,
  ) {}

  /** `header`: the value of `Authorization`, or of connectionParams.authorization. */
  fromHeader(header: string | undefined): Authentication | Promise<Authentication> {
    if (header === undefined || header === '') return NONE;
    const [, token] = /^Bearer +(\S+)$/i.exec(header) ?? [];
    return token === undefined
      ? refused('`Authorization` must be `Bearer <access token>`.')
      : this.fromToken(token);
  }

  fromToken(token: string): Authentication | Promise<Authentication> {
    if (this.provider !== undefined && IdentityProvider.signs(token))
      return this.fromProvider(this.provider, token);
    const claims = this.tokens.verifyAccess(token);
    if (claims === undefined)
      return refused('This access token is not valid or has expired: refresh the session.');
    return { kind: 'viewer', viewer: this.viewer(claims.userId, claims.sessionId, claims.expiresAt) };
  }

  private async fromProvider(provider: IdentityProvider, token: string): Promise<Authentication> {
    try {
      const { userId, expiresAt } = await provider.verify(token);
      return { kind: 'viewer', viewer: this.viewer(userId, undefined, expiresAt) };
    } catch (error) {
      if (error instanceof ParleyError) return { kind: 'refused', error };
      throw error;
    }
  }

  private viewer(id: string, sessionId: string | undefined, tokenExpiresAt: number): Viewer {
    return { id, sessionId, tokenExpiresAt, tokenEndsAt: this.clock.monotonic(tokenExpiresAt) };
  }
}

const refused = (message: string): Authentication => ({ kind: 'refused', error: unauthenticated(message) });

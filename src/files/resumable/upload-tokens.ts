import { createSecretKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { deriveKey } from '../../accounts/tokens.js';
import type { Now } from '../../db/clock.js';

const ALGORITHM = 'HS256';
const AUDIENCE = 'parley upload';
/** Seconds that a token is good for: as long as an upload lives untouched. */
const TOKEN_SECONDS = 24 * 3600;

export interface UploadToken {
  readonly token: string;
  readonly expiresAt: Date;
}

/** Tokens that allow one thing: to send, ask about and cancel the one upload that they name. No access token is one, nor the other way round. */
export class UploadTokens {
  private readonly key: KeyObject;

  /** `now`: the database's clock, by which all processes judge a token alike. */
  constructor(
    secret: string,
    private readonly now: Now,
  ) {
    this.key = createSecretKey(deriveKey(secret, 'upload token'));
  }

  sign(uploadId: string): UploadToken {
    const now = Math.floor(this.now() / 1000);
    const exp = now + TOKEN_SECONDS;
    const token = jwt.sign({ iat: now, exp }, this.key, {
      algorithm: ALGORITHM,
      audience: AUDIENCE,
      subject: uploadId,
    });
    return { token, expiresAt: new Date(exp * 1000) };
  }

  /** The upload that it names; undefined for a token that is not ours, was altered, or has run out. */
  verify(token: string): string | undefined {
    try {
      const claims = jwt.verify(token, this.key, {
        algorithms: [ALGORITHM],
        audience: AUDIENCE,
        clockTimestamp: Math.floor(this.now() / 1000),
      });
      return typeof claims === 'string' ? undefined : claims.sub;
    } catch {
      return undefined;
    }
  }
}

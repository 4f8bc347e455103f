import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { deriveKey } from '../../src/accounts/tokens.js';
import type { Place } from './app.js';
import type { Client } from './client.js';

/** The secret of the servers on a place, once one has started there. */
export const secretOf = async (place: Place): Promise<string> =>
  place.env['JWT_SECRET'] ?? (await readFile(join(place.dataDir, 'secret'), 'utf8')).trim();

/** A token of the same sign-in as the user's own, which runs out after `seconds`. */
export async function shortLivedToken(place: Place, user: Client, seconds: number): Promise<string> {
  const { sid, sub } = jwt.decode(user.token ?? '') as { sid: string; sub: string };
  // Rounded up: a token bears whole seconds, and must not be shorter lived than the test thinks.
  const exp = Math.ceil(Date.now() / 1000) + seconds;
  return jwt.sign({ sid, exp }, deriveKey(await secretOf(place), 'access token'), {
    issuer: 'parley',
    audience: 'parley',
    subject: sub,
  });
}

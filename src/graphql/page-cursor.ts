import { hash, timingSafeEqual } from 'node:crypto';
import { ParleyError } from '../errors.js';

/** Values of the unique key that a list is ordered by. */
export type PageKey = readonly (string | number)[];

/** Of 9 bytes. */
const MAC_CHARACTERS = 12;
/** How one begins, which no event cursor does. */
const PREFIX = 'p';

/**
 * Cursors of pages: a letter, the MAC (9 bytes) and the key as JSON, in base64url. The MAC covers the list that the cursor belongs to (its
 * kind, parent, filter and order), so a cursor that was altered or comes from another list is refused.
 */
export class PageCursors {
  private readonly secret: string;

  /** `secret`: 32 bytes, the same on every process. */
  constructor(secret: Buffer) {
    this.secret = secret.toString('base64url');
  }

  /** `list` names the list with its parent, filter and order. */
  encode(list: string, key: PageKey): string {
    const json = JSON.stringify(key);
    return PREFIX + this.mac(list, json) + Buffer.from(json).toString('base64url');
  }

  /** Throws BAD_CURSOR, naming `field`, for anything that `encode` did not make for this list. */
  decode(list: string, text: string, field: string): PageKey {
    const mac = Buffer.from(text.slice(PREFIX.length, PREFIX.length + MAC_CHARACTERS));
    const rest = text.slice(PREFIX.length + MAC_CHARACTERS);
    const bytes = Buffer.from(rest, 'base64url');
    const json = bytes.toString();
    const intact =
      text.startsWith(PREFIX) &&
      mac.length === MAC_CHARACTERS &&
      bytes.toString('base64url') === rest &&
      timingSafeEqual(mac, Buffer.from(this.mac(list, json)));
    if (!intact) {
      throw new ParleyError(
        'BAD_CURSOR',
        `\`${field}\` takes a page cursor that this list gave, with the same filter and order.`,
        { field },
      );
    }
    return JSON.parse(json) as PageKey;
  }

  /**
   * A hash that the secret goes before: of one that shows 72 of its 256 bits nobody can go on from its state, so it needs no HMAC
   * around it. A page has a hundred of these, and an HMAC costs five times as much.
   */
  private mac(list: string, json: string): string {
    return hash('sha256', `${this.secret}${list}\0${json}`, 'base64url').slice(0, MAC_CHARACTERS);
  }
}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { ParleyError } from '../errors.js';

/** Values of the unique key that a list is ordered by. */
export type PageKey = readonly (string | number)[];

const VERSION = 0xa1;
const MAC_LENGTH = 9;

/**
 * Cursors of pages: version (1 byte), MAC (9), the key as JSON, in base64url. The MAC covers the list that the cursor
 * belongs to (its kind, parent, filter and order), so a cursor that was altered or comes from another list is refused.
 */
export class PageCursors {
  /** `secret`: 32 bytes, the same on every process. */
  constructor(private readonly secret: Buffer) {}

  /** `list` names the list with its parent, filter and order. */
  encode(list: string, key: PageKey): string {
    const json = JSON.stringify(key);
    return Buffer.concat([Buffer.of(VERSION), this.mac(list, json), Buffer.from(json)]).toString('base64url');
  }

  /** Throws BAD_CURSOR, naming `field`, for anything that `encode` did not make for this list. */
  decode(list: string, text: string, field: string): PageKey {
    const bytes = Buffer.from(text, 'base64url');
    const json = bytes.toString('utf8', 1 + MAC_LENGTH);
    const intact =
      bytes.length > 1 + MAC_LENGTH &&
      bytes[0] === VERSION &&
      bytes.toString('base64url') === text &&
      timingSafeEqual(bytes.subarray(1, 1 + MAC_LENGTH), this.mac(list, json));
    if (!intact) {
      throw new ParleyError(
        'BAD_CURSOR',
        `\`${field}\` takes a page cursor that this list gave, with the same filter and order.`,
        { field },
      );
    }
    return JSON.parse(json) as PageKey;
  }

  private mac(list: string, json: string): Buffer {
    return createHmac('sha256', this.secret)
      .update(list)
      .update('\0')
      .update(json)
      .digest()
      .subarray(0, MAC_LENGTH);
  }
}

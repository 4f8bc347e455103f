import { hash, timingSafeEqual } from 'node:crypto';
import { ParleyError } from '../errors.js';

/** Values of the unique key that a list is ordered by. */
export type PageKey = readonly (string | number)[];

/** Of 9 bytes. */
const MAC_CHARACTERS = 12;
/** MACs in the 64 bytes of a SHA-512. */
const MACS = 7;
/** How one begins, which no event cursor does: the key is JSON, or one whole number. */
const JSON_KEY = 'p';
const NUMBER_KEY = 'n';

/**
 * Cursors of pages: a letter, the MAC (9 bytes, as base64url) and the key, as JSON in base64url or, for the commonest, in digits. The MAC covers the list
 * that the cursor belongs to (its kind, parent, filter and order), so a cursor that was altered or comes from another list is refused.
 */
export class PageCursors {
  private readonly secret: string;
  /** The last MACs of numbers that were made, and whose they are. */
  private block = { list: '', first: NaN, macs: '' };

  /** `secret`: 32 bytes, the same on every process. */
  constructor(secret: Buffer) {
    this.secret = secret.toString('base64url');
  }

  /** `list` names the list with its parent, filter and order. */
  encode(list: string, key: PageKey): string {
    const [number] = key;
    if (key.length === 1 && isWhole(number))
      return NUMBER_KEY + this.macOfNumber(list, number) + String(number);
    const json = JSON.stringify(key);
    return JSON_KEY + this.mac(list, json) + Buffer.from(json).toString('base64url');
  }

  /** Throws BAD_CURSOR, naming `field`, for anything that `encode` did not make for this list. */
  decode(list: string, text: string, field: string): PageKey {
    const key = keyOf(text.slice(0, 1), text.slice(1 + MAC_CHARACTERS));
    // Of a key that is written in another way than it would be, the MAC is another one, too.
    if (key === undefined || !areEqual(text, this.encode(list, key))) {
      throw new ParleyError(
        'BAD_CURSOR',
        `\`${field}\` takes a page cursor that this list gave, with the same filter and order.`,
        { field },
      );
    }
    return key;
  }

  /**
   * A hash that the secret goes before: of one that shows 72 of its 256 bits nobody can go on from its state, so it needs no HMAC
   * around it, which costs five times as much.
   */
  private mac(list: string, json: string): string {
    return hash('sha256', `${this.secret}${list}\0${json}`, 'base64url').slice(0, MAC_CHARACTERS);
  }

  /**
   * The numbers of a page's rows are close to each other, and one hash is the MACs of seven. It is shown nearly whole, so the secret
   * also stands at its end, where nobody could put it who went on from its state.
   */
  private macOfNumber(list: string, number: number): string {
    const place = number % MACS;
    const first = number - place;
    if (this.block.first !== first || this.block.list !== list) {
      const macs = hash('sha512', `${this.secret}${list}\0${String(first)}${this.secret}`, 'base64url');
      this.block = { list, first, macs };
    }
    return this.block.macs.slice(place * MAC_CHARACTERS, (place + 1) * MAC_CHARACTERS);
  }
}

const isWhole = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Object.is(Math.abs(value as number), value);

/** What a cursor says that its key is; undefined where it says nothing. */
function keyOf(kind: string, text: string): PageKey | undefined {
  if (kind === NUMBER_KEY)
    return /^\d{1,16}$/.test(text) && isWhole(Number(text)) ? [Number(text)] : undefined;
  if (kind !== JSON_KEY) return undefined;
  try {
    const key: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return Array.isArray(key) ? (key as PageKey) : undefined;
  } catch {
    return undefined;
  }
}

function areEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

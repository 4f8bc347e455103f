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
    const key = this.keyOf(
      list,
      text.slice(0, 1),
      text.slice(1, 1 + MAC_CHARACTERS),
      text.slice(1 + MAC_CHARACTERS),
    );
    if (key === undefined) {
      throw new ParleyError(
        'BAD_CURSOR',
        `\`${field}\` must be a page cursor from this list, with the same filter and order.`,
        { field },
      );
    }
    return key;
  }

  /** What a cursor says, where it is one of ours: nothing is read of any other. */
  private keyOf(list: string, kind: string, mac: string, text: string): PageKey | undefined {
    if (kind === NUMBER_KEY) {
      const number = Number(text);
      const isOurs =
        isWhole(number) && String(number) === text && areEqual(mac, this.macOfNumber(list, number));
      return isOurs ? [number] : undefined;
    }
    const bytes = Buffer.from(text, 'base64url');
    const json = bytes.toString();
    // One number as JSON is how earlier versions wrote it.
    const isOurs =
      kind === JSON_KEY && bytes.toString('base64url') === text && areEqual(mac, this.mac(list, json));
    return isOurs ? (JSON.parse(json) as PageKey) : undefined;
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

function areEqual(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

import { withoutHidden } from '../names.js';
import { beginning, beginningOfBytes, ending } from '../text.js';

/** Bytes of UTF-8 that a name may have: what common file systems take. */
const MAX_BYTES = 255;

/** What a name ends with when it is cut. Longer "extensions" are part of the name. */
const EXTENSION = /\.[^.\s]{1,16}$/u;

/** Spaces and dots at the end: found once, not from each of them on. */
const OUTER_END = /(?<![\s.])[\s.]+$/u;

/**
 * UTF-16 units of a given name that are looked at: its start, and the end, where the extension is. Putting marks into order
 * (NFC) takes the square of their number.
 */
const MAX_START = 1024;
const MAX_END = 32;

/**
 * A name that is safe to show, to store and to put in a header. In: whatever the client called its file. Out: NFC, no
 * folders, nothing hidden, no leading dots or outer spaces, 1 to 255 bytes with the extension kept.
 */
export function safeName(given: string): string {
  const base = given.slice(Math.max(given.lastIndexOf('/'), given.lastIndexOf('\\')) + 1);
  const clean = withoutHidden(shortEnough(base).normalize('NFC'))
    .normalize('NFC')
    .replace(/\s+/gu, ' ')
    .replace(/^[\s.]+/u, '')
    .replace(OUTER_END, '');
  if (clean === '') return 'file';
  if (Buffer.byteLength(clean) <= MAX_BYTES) return clean;
  const extension = EXTENSION.exec(clean)?.[0] ?? '';
  const stem = clean.slice(0, clean.length - extension.length);
  const start = withoutHidden(beginningOfBytes(stem, MAX_BYTES - Buffer.byteLength(extension)));
  return start.replace(OUTER_END, '') + extension;
}

const shortEnough = (name: string): string =>
  name.length > MAX_START + MAX_END ? beginning(name, MAX_START) + ending(name, MAX_END) : name;

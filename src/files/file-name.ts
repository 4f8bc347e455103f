/** Bytes of UTF-8 that a name may have: what common file systems take. */
const MAX_BYTES = 255;

/**
 * Controls, unpaired surrogates, line separators, and characters that reorder or hide what is read (bidi overrides,
 * zero-width space), except the joiners that scripts and emoji need.
 */
const UNSAFE = /(?![\u200C\u200D])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** What a name ends with when it is cut. Longer "extensions" are part of the name. */
const EXTENSION = /\.[^.\s]{1,16}$/u;

/** Spaces and dots at the end: found once, not from each of them on. */
const OUTER_END = /(?<![\s.])[\s.]+$/u;

/** UTF-16 units of a given name that are looked at: its start, and the end, where the extension is. Putting marks into order (NFC) takes the square of their number. */
const MAX_START = 1024;
const MAX_END = 32;

/**
 * A name that is safe to show, to store and to put in a header. In: whatever the client called its file. Out: NFC, no
 * folders, no control or bidi characters, no leading dots or outer spaces, 1 to 255 bytes with the extension kept.
 */
export function safeName(given: string): string {
  const base = given.slice(Math.max(given.lastIndexOf('/'), given.lastIndexOf('\\')) + 1);
  const clean = shortEnough(base)
    .replace(UNSAFE, '')
    .normalize('NFC')
    .replace(/\s+/gu, ' ')
    .replace(/^[\s.]+/u, '')
    .replace(OUTER_END, '');
  if (clean === '') return 'file';
  if (Buffer.byteLength(clean) <= MAX_BYTES) return clean;
  const extension = EXTENSION.exec(clean)?.[0] ?? '';
  const stem = clean.slice(0, clean.length - extension.length);
  return cutToBytes(stem, MAX_BYTES - Buffer.byteLength(extension)).replace(OUTER_END, '') + extension;
}

const shortEnough = (name: string): string =>
  name.length > MAX_START + MAX_END ? name.slice(0, MAX_START) + name.slice(-MAX_END) : name;

/** The name as it is sorted and searched: case and compatibility forms make no difference. */
export const nameKey = (name: string): string => name.normalize('NFKC').toLowerCase().normalize('NFKC');

/** The longest start of `text` that has `bytes` bytes at most and ends between two code points. */
function cutToBytes(text: string, bytes: number): string {
  let length = 0;
  let end = 0;
  for (const character of text) {
    length += Buffer.byteLength(character);
    if (length > bytes) break;
    end += character.length;
  }
  return text.slice(0, end);
}

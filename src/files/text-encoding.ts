import { analyse } from 'chardet';

/** Bytes of text, read. */
export interface DecodedText {
  readonly text: string;
  /** The encoding's name in the WHATWG Encoding Standard, such as `utf-8`, `utf-16le` or `shift_jis`. */
  readonly charset: string;
}

/** Characters that no text contains (WHATWG MIME Sniffing, section 3, as characters). */
// eslint-disable-next-line no-control-regex -- looking for them is the point
const BINARY = /[\0-\x08\x0B\x0E-\x1A\x1C-\x1F\x7F-\x84\x86-\x9F\uFFFD-\uFFFF]/;

/** Whether it contains only what texts contain. */
export const isText = (text: string): boolean => !BINARY.test(text);

/** Bytes that are looked at to recognize UTF-16 without a byte order mark, and a legacy encoding. */
const GUESS_BYTES = 16 * 1024;

/** Percent from which a guess is better than the most common encoding. A short text gives less. */
const SURE = 40;

/** What chardet may guess. Decoders exist for others too, but they fit any bytes and so prove nothing. */
const LEGACY = new Set(
  (
    'shift_jis euc-jp euc-kr big5 gb18030 koi8-r iso-8859-1 iso-8859-2 iso-8859-5 iso-8859-6 iso-8859-7 ' +
    'iso-8859-8 iso-8859-9 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256'
  ).split(' '),
);

/**
 * Reads bytes as text: UTF-8, UTF-16 with or without a byte order mark, or an encoding of one region
 * such as Windows-1252 or Shift_JIS. `complete`: false if the last character may be cut.
 * Returns undefined if the bytes are no text.
 */
export function decodeText(bytes: Buffer, complete: boolean): DecodedText | undefined {
  for (const name of candidates(bytes)) {
    try {
      const decoder = new TextDecoder(name, { fatal: true });
      const text = decoder.decode(bytes, { stream: !complete });
      if (isText(text)) return { text, charset: decoder.encoding };
    } catch {
      // The bytes are not in this encoding.
    }
  }
  return undefined;
}

/** From the most to the least certain. Legacy encodings come last, for they fit almost any bytes. */
function* candidates(bytes: Buffer): Generator<string> {
  const mark = bytes.readUIntBE(0, Math.min(2, bytes.length));
  if (mark === 0xff_fe) yield 'utf-16le';
  else if (mark === 0xfe_ff) yield 'utf-16be';
  yield 'utf-8';
  const start = bytes.subarray(0, GUESS_BYTES);
  const unmarked = utf16Order(start);
  if (unmarked !== undefined) yield unmarked;
  // A byte that is 0 occurs in no legacy encoding, and in nearly every binary format.
  if (start.includes(0)) return;
  const guesses = analyse(start).filter(({ name }) => LEGACY.has(name.toLowerCase()));
  for (const { name, confidence } of guesses) if (confidence >= SURE) yield name;
  yield 'windows-1252';
  for (const { name } of guesses) yield name;
}

/** The byte order, if every other byte is often 0, as in UTF-16 of a language with Latin letters. */
function utf16Order(bytes: Buffer): string | undefined {
  let even = 0;
  let odd = 0;
  for (const [index, byte] of bytes.entries()) {
    if (byte !== 0) continue;
    if (index % 2 === 0) even += 1;
    else odd += 1;
  }
  if (even === 0 && odd > bytes.length / 8) return 'utf-16le';
  if (odd === 0 && even > bytes.length / 8) return 'utf-16be';
  return undefined;
}

import { isUtf8 } from 'node:buffer';

/**
 * The text of bytes in UTF-8 without a byte order mark, which some programs put before JSON. Undefined for other bytes: decoded all the same, they would
 * be stored damaged.
 */
export function decoded(bytes: Buffer): string | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString();
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** UTF-8, and ASCII, which is a part of it. */
const CHARSETS: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

/** Whether a charset, in small letters, is UTF-8; what names none is taken for it. */
export const isUtf8Name = (charset: string | undefined): boolean =>
  charset === undefined || charset === '' || CHARSETS.has(charset);

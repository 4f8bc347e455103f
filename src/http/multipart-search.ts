import type { Writable } from 'node:stream';

/** What busboy's multipart parser looks for its boundary with (streamsearch), as far as it is used here. */
interface Search {
  push(chunk: Buffer, position: number): unknown;
  /** The boundary, with the line break and the dashes before it. */
  readonly _needle: Buffer;
  /** Bytes at the end of the last chunk that may begin the boundary. */
  readonly _lookbehindSize: number;
  /** Takes what lies before a boundary. */
  readonly _cb: (isMatch: boolean, data: Buffer, start: number, end: number, isDataSafe: boolean) => void;
}

const CR = '\r'.charCodeAt(0);

/**
 * Lets a parser see by Node's own search which chunks hold no boundary, and take these as they are: nearly all of a large file. Its own
 * search, which goes through every chunk in JavaScript, sees to the others, and to an end that may begin a boundary. It reaches
 * for what busboy keeps to itself: a parser that has no such search stays as it is. Answers whether it had.
 */
export function quickenSearch(parser: Writable): boolean {
  const search = '_bparser' in parser ? parser._bparser : undefined;
  if (!isSearch(search)) return false;
  const { _needle: needle } = search;
  const push = search.push.bind(search);
  search.push = (chunk, position) => {
    if (position !== 0 || search._lookbehindSize > 0 || chunk.includes(needle)) return push(chunk, position);
    const end = startOfEnd(chunk, needle);
    if (end > 0) search._cb(false, chunk, 0, end, true);
    return end < chunk.length ? push(chunk.subarray(end), 0) : chunk.length;
  };
  return true;
}

/** Where the end of a chunk begins that may be the start of `needle`; the chunk's length where there is none. */
function startOfEnd(chunk: Buffer, needle: Buffer): number {
  let at = chunk.indexOf(CR, Math.max(0, chunk.length - needle.length + 1));
  while (at >= 0 && chunk.compare(needle, 0, chunk.length - at, at) !== 0) at = chunk.indexOf(CR, at + 1);
  return at < 0 ? chunk.length : at;
}

const isSearch = (value: unknown): value is Search =>
  typeof value === 'object' &&
  value !== null &&
  'push' in value &&
  '_needle' in value &&
  '_lookbehindSize' in value &&
  '_cb' in value;

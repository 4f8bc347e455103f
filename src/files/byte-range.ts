import parseRange from 'range-parser';
import type { ByteRange } from './storage/storage.js';

/** Characters of a `Range` that is read. A longer one is ignored, as the RFC advises for many small ranges (14.2). */
const MAX_RANGE = 1000;

/** What a GET is to send: everything, one range of it, or nothing since no range fits. */
export type RangeChoice =
  { readonly kind: 'whole' } | ({ readonly kind: 'part' } & ByteRange) | { readonly kind: 'none' };

interface Representation {
  /** Bytes. */
  readonly size: number;
  /** Strong, quoted. */
  readonly etag: string;
  readonly lastModified: string;
}

/**
 * Reads `Range` and `If-Range` (RFC 9110, 13.1.5 and 14.2). Ranges that are malformed, of another unit, or several that do not
 * join to one are ignored, as the RFC allows: the whole file is a right answer to any of them.
 */
export function chooseRange(
  range: string | undefined,
  ifRange: string | undefined,
  file: Representation,
): RangeChoice {
  if (range === undefined || range.length > MAX_RANGE || !/^bytes *=/i.test(range)) return { kind: 'whole' };
  if (ifRange !== undefined && ifRange !== file.etag && ifRange !== file.lastModified)
    return { kind: 'whole' };
  const ranges = parseRange(file.size, withinSuffix(range, file.size), { combine: true });
  if (ranges === -1) return { kind: 'none' };
  const [first] = ranges === -2 ? [] : ranges;
  if (ranges === -2 || first === undefined || ranges.length > 1) return { kind: 'whole' };
  return { kind: 'part', start: first.start, end: first.end };
}

/** The last bytes, where more of them are asked for than there are, are all of them (RFC 9110, 14.1.2); the library finds none. */
const withinSuffix = (range: string, size: number): string =>
  range.replace(/([=,]\s*)-(\d+)/g, (suffix, before: string, bytes: string) =>
    Number(bytes) > size ? `${before}-${String(size)}` : suffix,
  );

/**
 * The text, or its first `max` UTF-16 units and an ellipsis. For what clients choose and the server only repeats: in a log, a trace or a
 * message. Never ends with half of a surrogate pair.
 */
export function shortened(text: string, max: number): string {
  return text.length > max ? `${beginning(text, max)}…` : text;
}

/** UTF-16 units before and behind a cut that are looked at for the character there: one that is longer is cut. */
const BEFORE = 256;
const BEHIND = 64;

const characters = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * The first `max` UTF-16 units, or some fewer so as to end between two characters as people see them: flags and families stay
 * whole. Never ends with half of a surrogate pair.
 */
export function beginning(text: string, max: number): string {
  if (text.length <= max) return text;
  const from = Math.max(max - BEFORE, 0);
  const cut = from + (characters.segment(text.slice(from, max + BEHIND)).containing(max - from)?.index ?? 0);
  return text.slice(0, cut > from ? cut : betweenPairs(text, max));
}

/** The longest start that has `max` bytes of UTF-8 at most, and ends between two characters if the first one is not longer. */
export function beginningOfBytes(text: string, max: number): string {
  const whole = startOf(
    Array.from(characters.segment(text), ({ segment }) => segment),
    max,
  );
  return whole === '' ? startOf(Array.from(text), max) : whole;
}

/** The last `max` UTF-16 units, without half of a surrogate pair at their start. */
export function ending(text: string, max: number): string {
  const start = Math.max(text.length - max, 0);
  const first = text.charCodeAt(start);
  return text.slice(first >= 0xdc00 && first < 0xe000 ? start + 1 : start);
}

/** `at`, or the place before it if that is within a pair. */
function betweenPairs(text: string, at: number): number {
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before < 0xdc00 ? at - 1 : at;
}

function startOf(parts: readonly string[], max: number): string {
  let start = '';
  let bytes = 0;
  for (const part of parts) {
    bytes += Buffer.byteLength(part);
    if (bytes > max) break;
    start += part;
  }
  return start;
}

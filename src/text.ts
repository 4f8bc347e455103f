/**
 * The text, or its first `max` UTF-16 units and an ellipsis. For what clients choose and the server only repeats: in a log, a trace or a
 * message. Never ends with half of a surrogate pair.
 */
export function shortened(text: string, max: number): string {
  return text.length > max ? `${beginning(text, max)}…` : text;
}

/** The first `max` UTF-16 units, without half of a surrogate pair at the end. */
export function beginning(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? max - 1 : max);
}

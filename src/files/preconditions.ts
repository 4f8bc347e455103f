import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a request must not be answered since it is for another state of the file: `If-Match`, or where there is none
 * `If-Unmodified-Since` (RFC 9110, sections 13.1.1 and 13.1.4). `etag`: strong, quoted. `lastModified`: an HTTP date.
 */
export function hasChanged(headers: IncomingHttpHeaders, etag: string, lastModified: string): boolean {
  const { 'if-match': ifMatch, 'if-unmodified-since': since } = headers;
  // A weak tag matches nothing here, and `*` whatever is there.
  if (ifMatch !== undefined) return ifMatch.trim() !== '*' && !tagsOf(ifMatch).includes(etag);
  if (since === undefined) return false;
  const at = Date.parse(since);
  // What is no date is no condition.
  return !Number.isNaN(at) && Date.parse(lastModified) > at;
}

/** Tags may have commas in them. */
const tagsOf = (list: string): readonly string[] => list.match(/(?:W\/)?"[^"]*"/g) ?? [];

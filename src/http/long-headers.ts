import type { IncomingMessage } from 'node:http';

/** Characters of an `Accept` that are read, and ranges: browsers send a tenth. Yoga repeats what it knows for each range, and others take the square. */
const MAX_ACCEPT = 500;
const MAX_RANGES = 30;

/** Characters of others, which are left out where they have more: the answer is right without them. */
const MAX_TAGS = 2000;
const MAX_NAMES = 2000;
const MAX_ORIGIN = 300;

/** Cuts what a client asks for and the server works on, before anything does. */
export function cutLongHeaders({ headers }: IncomingMessage): void {
  const { accept } = headers;
  if (accept !== undefined && accept.length > MAX_ACCEPT)
    headers.accept = accept.slice(0, MAX_ACCEPT).split(',', MAX_RANGES).join(',');
  if ((headers['if-none-match'] ?? '').length > MAX_TAGS) delete headers['if-none-match'];
  if ((headers['access-control-request-headers'] ?? '').length > MAX_NAMES)
    delete headers['access-control-request-headers'];
  if ((headers.origin ?? '').length > MAX_ORIGIN) delete headers.origin;
}

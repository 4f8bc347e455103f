import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Origins } from './origins.js';

/** Seconds for which a browser need not ask again. */
const MAX_AGE = 600;

/** Says in a response which other sites' pages may read it. */
export type Cors = (req: IncomingMessage, res: ServerResponse) => void;

/**
 * Closed unless origins are configured: no header, so a browser lets no other page read an answer. To an origin that is not in
 * the list nothing is said, since `null` is the name of every sandboxed frame. With `*` any page may read, without credentials.
 */
export function createCors(origins: Origins): Cors {
  return (req, res) => {
    const { headers } = req;
    const { origin } = headers;
    if (origin === undefined) return;
    if (!origins.lists(origin)) {
      if (origins.isForeign(req)) origins.tellRefused(req);
      return;
    }
    res.setHeader('access-control-allow-origin', origin);
    res.setHeader('access-control-expose-headers', 'retry-after, x-request-id');
    if (!origins.any) res.setHeader('access-control-allow-credentials', 'true');
    const asked = headers['access-control-request-headers'];
    if (asked !== undefined) res.setHeader('access-control-allow-headers', asked);
    res.setHeader('vary', asked === undefined ? 'Origin' : 'Origin, Access-Control-Request-Headers');
    res.setHeader('access-control-allow-methods', 'GET, POST, OPTIONS');
    res.setHeader('access-control-max-age', MAX_AGE);
  };
}

/** Answers a browser that asks before it sends (CORS preflight): what may come was said by `Cors`. */
export function answerPreflight(res: ServerResponse): void {
  // Some browsers wait for a body without the length.
  res.writeHead(204, { 'content-length': 0 }).end();
}

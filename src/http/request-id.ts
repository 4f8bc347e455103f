import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What a proxy may call a request: nothing that could forge a line of a log, or fill it. */
const TAKEN = /^[\w.:/+=@-]{1,128}$/;

/**
 * Names requests for logs and answers: by the `X-Request-Id` that a trusted proxy gave them, or by an id of our own. `isTrusted` tells
 * whether an address is that of such a proxy.
 */
export const requestIds =
  (isTrusted: (address: string, hops: number) => boolean) =>
  ({ headers, socket }: IncomingMessage): string => {
    const given = headers['x-request-id'];
    return typeof given === 'string' && TAKEN.test(given) && isTrusted(socket.remoteAddress ?? '', 0)
      ? given
      : newRequestId();
  };

/** The 12 bits of a UUIDv7 that may count. */
const COUNTS = Array.from({ length: 4096 }, (_, n) => n.toString(16).padStart(3, '0'));

let count = COUNTS.length;
/** 62 random bits for as many ids as are counted. */
let random = '';
let ms = 0;
let time = '';

/**
 * A UUIDv7 (RFC 9562) that tells a request from every other, and is no secret: so its random bits are drawn for 4096 ids together. Ids
 * that are drawn each for itself (db/ids.ts) cost some 3 µs.
 */
export function newRequestId(): string {
  if (count === COUNTS.length) {
    count = 0;
    random = randomUUID().slice(19);
  }
  const now = Date.now();
  if (now !== ms) {
    ms = now;
    const hex = now.toString(16).padStart(12, '0');
    time = `${hex.slice(0, 8)}-${hex.slice(8)}`;
  }
  return `${time}-7${COUNTS[count++] ?? ''}-${random}`;
}

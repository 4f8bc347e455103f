import type { IncomingMessage } from 'node:http';
import { newId } from '../db/ids.js';

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
      : newId();
  };

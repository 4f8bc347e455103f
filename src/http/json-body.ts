import type { IncomingMessage } from 'node:http';
import { badRequest } from './bad-request.js';
import { decoded } from './utf8.js';

/** Where a request carries its body: what a WeakMap knows of it would outlive it until the next full garbage collection. */
const BODY = Symbol('body');

interface Carrying {
  [BODY]: string | Promise<string> | undefined;
}

/**
 * The text of a body, read once: whoever asks again gets the same answer. Rejects with what the client is to be told: 413 beyond `limit`
 * bytes, 400 where it ends too early or is no UTF-8. Nearly every body is there when somebody asks, and is answered as it is.
 */
export function bodyOf(req: IncomingMessage, limit: number): string | Promise<string> {
  const carrying = req as IncomingMessage & Carrying;
  return (carrying[BODY] ??= arrivedBody(req, limit) ?? readBody(req, limit).then(textOf));
}

/** Without the events by which a stream is read, which cost more than the reading. */
function arrivedBody(req: IncomingMessage, limit: number): string | Promise<string> | undefined {
  if (!req.complete || req.readableLength > limit) return undefined;
  const body = req.read() as Buffer | null;
  return body === null ? undefined : textOf(body);
}

function textOf(body: Buffer): string | Promise<string> {
  return (
    decoded(body) ??
    Promise.reject(badRequest(400, 'The body is not valid UTF-8: encode it so, whatever its letters.'))
  );
}

function readBody(req: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
        return;
      }
      // The rest of a body that is too large is not awaited, but the request stays, so that it can be answered.
      req.pause().removeAllListeners('data');
      const most = String(limit);
      reject(
        badRequest(413, `A JSON body can have at most ${most} bytes: send files as multipart/form-data.`),
      );
    });
    req.once('end', () => {
      const [only] = chunks;
      resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size));
    });
    // Whoever went in the middle of it, or was too slow: nothing is wrong here.
    const early = (): void => {
      if (!req.readableEnded) reject(badRequest(400, 'The body was cut off: send the request again.'));
    };
    req.once('error', early);
    req.once('close', early);
  });
}

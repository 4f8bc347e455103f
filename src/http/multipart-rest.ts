import type { IncomingMessage, ServerResponse } from 'node:http';

/** What is read of a request that is answered before its end, and milliseconds until its connection is given up. */
const REST_BYTES = 1024 * 1024;
const REST_MS = 2000;

/**
 * Call it right before answering a request whose body was not read to its end, with the bytes that are still to come (Infinity
 * where nobody knows). A short rest is thrown away and the connection serves on. Of a longer one some is read, then the client has
 * to wait with the rest while it takes the answer, which says `Connection: close`; and then the connection ends: `closes` tells so.
 */
export function discardRest(
  req: IncomingMessage,
  res: ServerResponse,
  bytesToCome = lengthOf(req),
): { closes: boolean } {
  req.unpipe();
  if (req.complete || req.destroyed || res.destroyed) {
    req.resume();
    return { closes: false };
  }
  const { socket } = req;
  let answered = false;
  let over = false;
  let close = (): void => socket.destroySoon();

  const closes = bytesToCome > REST_BYTES && !res.headersSent;
  if (closes) {
    res.setHeader('Connection', 'close');
    // Node would destroy the socket as soon as the answer is written. The kernel meets bytes that arrive after that with a
    // reset, which can overtake the answer: so only our half is closed, until the client has ended its own or tires us.
    const destroySoon = socket.destroySoon.bind(socket);
    close = destroySoon;
    socket.destroySoon = () => {
      answered = true;
      if (over) destroySoon();
      else socket.end();
    };
  } else {
    res.once('finish', () => {
      answered = true;
      if (over && !req.complete) socket.destroySoon();
    });
  }

  let left = REST_BYTES;
  const stop = (): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    if (!req.complete) req.pause();
    if (answered && (!req.complete || !res.shouldKeepAlive)) close();
  };
  const timer = setTimeout(stop, REST_MS);
  req.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    // No more is taken, but the connection stays: a proxy that is still sending would meet its end before it has looked for an
    // answer, and say 502 in our name.
    if (left < 0) req.pause();
  });
  req.once('end', stop);
  req.once('close', stop);
  req.resume();
  return { closes };
}

/** Bytes of the body as its header announces; Infinity when it comes in chunks. */
export const lengthOf = (req: IncomingMessage): number => Number(req.headers['content-length'] ?? Infinity);

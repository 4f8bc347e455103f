import { bodyKindOf } from './content-type.js';
import { answerJson } from './json-answer.js';
import type { Exchange } from './request-log.js';
import { isUploadBody } from './resumable-uploads.js';

/** Milliseconds for the body of anything but an upload to arrive. */
const BODY_MS = 30_000;

let begun: Exchange[] = [];

/**
 * Limits how long the body of a request may take. Nearly every one is there with its headers, before the turn of the event loop is over, and
 * needs no timer: they are looked at together then.
 */
export function limitBodyTime(exchange: Exchange): void {
  if (begun.push(exchange) === 1) setImmediate(look);
}

function look(): void {
  const exchanges = begun;
  begun = [];
  for (const exchange of exchanges) if (!exchange.req.complete) limit(exchange);
}

/**
 * An upload may take as long as it likes while its bytes flow; anything else is short. It is answered, since a proxy would take a
 * connection that just ends for a server that is broken, and leave it alone for a while.
 */
function limit(exchange: Exchange): void {
  const { req, res } = exchange;
  const isUpload = bodyKindOf(req) === 'multipart' || isUploadBody(req);
  if (req.destroyed || isUpload) return;
  const timer = setTimeout(() => {
    // It has arrived, but nobody reads it.
    if (req.complete) return;
    if (res.headersSent) {
      req.destroy();
      return;
    }
    exchange.showId();
    res.once('finish', () => req.destroy());
    answerJson(res, 408, { code: 'REQUEST_TIMEOUT' }, { connection: 'close' });
  }, BODY_MS);
  timer.unref();
  req.once('end', () => {
    clearTimeout(timer);
  });
  req.once('close', () => {
    clearTimeout(timer);
  });
}

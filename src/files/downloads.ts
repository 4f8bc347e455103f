import { create as contentDisposition } from 'content-disposition';
import fresh from 'fresh';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ErrorCode } from '../errors.js';
import { limitStall } from '../network/response-stall.js';
import type { Logger } from '../observability/logger.js';
import { chooseRange } from './byte-range.js';
import { hasChanged } from './preconditions.js';
import type { StoredFileRow } from './files.queries.js';
import type { FileLinks } from './links.js';
import { savedName } from './saved-name.js';
import { PictureRefusal, pictureOf, type ShownPicture } from './picture-downloads.js';
import type { Variants } from './processing/variants.js';
import type { AddressOf } from './storage/open.js';
import type { SaidOfBytes, Storage } from './storage/storage.js';

export interface DownloadDeps {
  readonly links: FileLinks;
  readonly storage: Storage;
  /** Where clients are sent for the bytes; undefined: they come from here. */
  readonly addressOf: AddressOf | undefined;
  readonly logger: Logger;
  /** The file, unless it was deleted. */
  readonly findFile: (id: string) => Promise<StoredFileRow | undefined>;
  /** What is made of files; undefined where nothing is. */
  readonly variants: Variants | undefined;
}

/** Milliseconds that a client may take nothing of what it asked for. Tests change it. */
export const downloadTimes = { idleMs: 120_000 };

/** Seconds for which the address works that a client is sent to. It begins at once, or comes back for another. */
const ADDRESS_SECONDS = 300;

/** Shown in place where a link is opened; everything else is saved. None of these can run anything. */
const INLINE = /^(?:image\/(?:png|jpeg|gif|webp|avif|bmp)|audio\/.+|video\/.+)$/;

/**
 * What every answer says. The link is the capability, it carries no cookie and no header, so any page may use what it
 * was given; the page that shows the answer itself runs nothing and has an origin of its own.
 */
const HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Accept-Ranges, Content-Disposition, Content-Range, ETag',
  'Cross-Origin-Resource-Policy': 'cross-origin',
  'Content-Security-Policy': "sandbox; default-src 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
};

/**
 * Serves signed links (links.ts): GET and HEAD of `/files/…`, with ranges and conditions. Answers at once whether the request is
 * its own. 302: to where the bytes are, where clients are sent there; 403: no valid link, or one that has expired; 404: a variant that is not there; 410: the
 * file was deleted; 412: a condition that does not hold; 416: no such range; 422: a variant of what cannot be decoded; 503: database or storage do not answer, or too many variants are being made.
 */
export function createDownloads(deps: DownloadDeps): (req: IncomingMessage, res: ServerResponse) => boolean {
  return (req, res) => {
    if (req.url?.startsWith('/files/') !== true) return false;
    for (const [name, value] of Object.entries(HEADERS)) res.setHeader(name, value);
    serve(deps, req, res).catch((err: unknown) => {
      deps.logger.error({ err }, 'a download failed');
      if (res.headersSent) res.destroy();
      else if (err instanceof PictureRefusal) refuse(res, err.status, err.code, err.message, err.retryAfter);
      else refuse(res, 503, 'UNAVAILABLE', 'The file cannot be read now: try again later.');
    });
    return true;
  };
}

async function serve(deps: DownloadDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  // Method.
  if (req.method === 'OPTIONS') {
    allowPreflight(res);
    return;
  }
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    res.setHeader('Allow', 'GET, HEAD, OPTIONS');
    refuse(res, 405, 'BAD_REQUEST', 'Fetch files with GET or HEAD.');
    return;
  }

  // Link.
  const link = deps.links.verify(req.url ?? '');
  if (link.kind !== 'good') {
    const why =
      link.kind === 'expired'
        ? 'This link has expired: ask for a new one.'
        : 'This link is not valid: ask for a new one, and do not change it.';
    refuse(res, 403, 'FORBIDDEN', why);
    return;
  }

  // File.
  const file = await deps.findFile(link.fileId);
  if (file === undefined) {
    refuse(res, 410, 'NOT_FOUND', 'This file was deleted.');
    return;
  }
  const shown: ShownPicture | undefined =
    link.variant === undefined ? file : await pictureOf(deps.variants, file, link.variant, req, res);
  if (shown === undefined) {
    refuse(res, 410, 'NOT_FOUND', 'This file was deleted.');
    return;
  }
  const etag = `"${shown.sha256}"`;
  const lastModified = file.created_at.toUTCString();
  res.setHeader('ETag', etag);
  res.setHeader('Last-Modified', lastModified);
  // Bytes never change under a link, but a deleted file must not live on in shared caches.
  const { secondsLeft } = link;
  const cacheControl = `private, max-age=${String(secondsLeft)}, immutable`;
  res.setHeader('Cache-Control', cacheControl);

  // Conditions, in the order of RFC 9110, section 13.2.2.
  if (hasChanged(req.headers, etag, lastModified)) {
    refuse(
      res,
      412,
      'BAD_REQUEST',
      'The file is not the one that the request was made for: its ETag or date is another.',
    );
    return;
  }
  if (fresh(req.headers, { etag, 'last-modified': lastModified })) {
    res.writeHead(304).end();
    return;
  }
  const inline = INLINE.test(shown.mime_type) && !link.download;
  const said: SaidOfBytes = {
    contentType: contentType(shown),
    contentDisposition: contentDisposition(savedName(shown), { type: inline ? 'inline' : 'attachment' }),
    cacheControl,
  };
  res.setHeader('Accept-Ranges', 'bytes');
  res.setHeader('Content-Type', said.contentType);
  res.setHeader('Content-Disposition', said.contentDisposition);
  if (req.method === 'HEAD') {
    res.writeHead(200, { 'Content-Length': shown.size }).end();
    return;
  }

  // Elsewhere: there ranges and further conditions are seen to.
  if (deps.addressOf !== undefined) {
    const address = await deps.addressOf(shown.storage_key, said, Math.min(secondsLeft, ADDRESS_SECONDS));
    takeBack(res);
    res.writeHead(302, { Location: address, 'Cache-Control': 'no-store', 'Content-Length': 0 }).end();
    return;
  }

  // Range.
  const range = chooseRange(req.headers.range, req.headers['if-range'] as string | undefined, {
    size: shown.size,
    etag,
    lastModified,
  });
  if (range.kind === 'none') {
    res.setHeader('Content-Range', `bytes */${String(shown.size)}`);
    refuse(res, 416, 'BAD_REQUEST', `The range is outside the file, which has ${String(shown.size)} bytes.`);
    return;
  }

  // Bytes.
  const part = range.kind === 'part' ? { start: range.start, end: range.end } : undefined;
  const length = part === undefined ? shown.size : part.end - part.start + 1;
  const sent = await deps.storage.send(shown.storage_key, part, () => {
    res.setHeader('Content-Length', length);
    if (part !== undefined)
      res.setHeader('Content-Range', `bytes ${String(part.start)}-${String(part.end)}/${String(shown.size)}`);
    res.writeHead(part === undefined ? 200 : 206);
    limitStall(res, downloadTimes.idleMs);
    return res;
  });
  if (sent === undefined) {
    // They go after the row: deleted a moment ago, or lost.
    if ((await deps.findFile(link.fileId)) !== undefined) {
      await shown.lost?.();
      throw new Error(`the bytes of file ${file.id} are missing`);
    }
    refuse(res, 410, 'NOT_FOUND', 'This file was deleted.');
    return;
  }
  // A client that goes away is no failure, and has stopped the reading.
  if (res.destroyed) return;
  if (sent !== length) throw new Error(`of ${length} bytes of file ${file.id} only ${sent} are there`);
  res.end();
}

/** Texts from before their encoding was recorded are UTF-8. */
const contentType = ({ mime_type: mimeType, charset }: ShownPicture): string =>
  mimeType.startsWith('text/') ? `${mimeType}; charset=${charset ?? 'utf-8'}` : mimeType;

function allowPreflight(res: ServerResponse): void {
  res.writeHead(204, {
    'Access-Control-Allow-Methods': 'GET, HEAD',
    'Access-Control-Allow-Headers':
      'Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since',
    'Access-Control-Max-Age': '86400',
  });
  res.end();
}

/** What was to be said of the file is not said. */
function takeBack(res: ServerResponse): void {
  for (const name of ['Accept-Ranges', 'Content-Disposition', 'Content-Type', 'ETag', 'Last-Modified'])
    res.removeHeader(name);
}

function refuse(
  res: ServerResponse,
  status: number,
  code: ErrorCode,
  message: string,
  retryAfter?: number,
): void {
  takeBack(res);
  if (retryAfter !== undefined) res.setHeader('Retry-After', retryAfter);
  const body = JSON.stringify({ code, message });
  res.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  res.end(res.req.method === 'HEAD' ? undefined : body);
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import Negotiator from 'negotiator';
import { ParleyError, type ErrorCode } from '../errors.js';
import type { StoredFileRow } from './files.queries.js';
import { POSTER } from './processing/media.queries.js';
import { UnreadableError } from './processing/program.js';
import { FORMATS, parseVariantName, type Format, type KeptSpec } from './processing/variant-spec.js';
import type { Variants } from './processing/variants.js';

/** Bytes to be served, and what is said of them. */
export interface ShownPicture {
  readonly storage_key: string;
  readonly size: number;
  readonly sha256: string;
  readonly mime_type: string;
  /** The encoding of a text. */
  readonly charset?: string | null;
  readonly name: string;
  /** To be told that its bytes are not there. */
  readonly lost?: () => Promise<void>;
}

/** Why there is no picture, for the client. */
export class PictureRefusal extends Error {
  override readonly name = 'PictureRefusal';

  constructor(
    readonly status: number,
    readonly code: ErrorCode,
    message: string,
    /** Seconds. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/**
 * What a link to something that was made of a file shows, for this client; it is made now if it is not there. Undefined where the file was deleted meanwhile.
 * Throws PictureRefusal, and what keeps it from being read or stored.
 */
export async function pictureOf(
  variants: Variants | undefined,
  file: StoredFileRow,
  name: string,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<ShownPicture | undefined> {
  if (variants === undefined)
    throw new PictureRefusal(404, 'NOT_FOUND', 'This server does not make previews.');
  const { blob_id: blobId } = file;
  if (blobId === null) return undefined;
  if (name === POSTER) {
    const row = await variants.find(blobId, POSTER);
    if (row === undefined) throw new PictureRefusal(404, 'NOT_FOUND', 'There is no preview of this file.');
    return { ...shownOf(file, row, 'webp'), lost: () => variants.forget(row) };
  }
  const spec = parseVariantName(name);
  // Signed by a version that made others.
  if (spec === undefined)
    throw new PictureRefusal(404, 'NOT_FOUND', 'Images of this size are not available: ask for a new link.');
  let { format } = spec;
  if (format === 'auto') {
    res.setHeader('Vary', 'Accept');
    format = chosenBy(req);
  }
  const kept: KeptSpec = { ...spec, format };
  try {
    const row = await variants.get({ ...file, blob_id: blobId }, kept);
    return row && { ...shownOf(file, row, format), lost: () => variants.forget(row) };
  } catch (error) {
    if (error instanceof UnreadableError)
      throw new PictureRefusal(422, 'BAD_REQUEST', 'This image cannot be decoded.');
    if (error instanceof ParleyError)
      throw new PictureRefusal(503, error.code, error.message, error.details.retryAfter);
    throw error;
  }
}

type Stored = Pick<ShownPicture, 'storage_key' | 'size' | 'sha256'>;

const shownOf = (
  { name }: StoredFileRow,
  { storage_key, size, sha256 }: Stored,
  format: Format,
): ShownPicture => ({
  storage_key,
  size,
  sha256,
  mime_type: `image/${format}`,
  name: `${name.replace(/\.[^.]{1,10}$/, '') || name}.${format === 'jpeg' ? 'jpg' : format}`,
});

/** The client's first choice. WebP where it has none: everything that shows pictures shows these. */
function chosenBy(req: IncomingMessage): Format {
  const best = new Negotiator(req).mediaType(FORMATS.map((format) => `image/${format}`));
  return FORMATS.find((format) => best === `image/${format}`) ?? 'webp';
}

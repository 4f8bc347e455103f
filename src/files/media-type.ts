import { fileTypeFromBuffer } from 'file-type';
import { markupType } from './markup.js';

/** Bytes from the start of a file that its type is judged by. */
export const SAMPLE_BYTES = 64 * 1024;

/** Any bytes: what nothing else fits. */
const UNKNOWN = 'application/octet-stream';

/** Formats with a signature that may well begin with clean text for as long as the sample is. */
const TEXTUAL_FORMATS = new Set([
  'application/pdf',
  'application/rtf',
  'application/postscript',
  'application/eps',
  'application/pgp-encrypted',
  'text/calendar',
  'text/vcard',
  'text/vtt',
]);

export interface Sample {
  /** The first bytes of the file, SAMPLE_BYTES or more unless it is shorter. */
  readonly bytes: Buffer;
  /** Whether that is the whole file. */
  readonly complete: boolean;
  /** What the client says: believed only where it tells one kind of plain text from another. */
  readonly name: string;
  readonly claimedType: string;
}

/**
 * The media type by content, lower case, without parameters. Text is UTF-8; SVG and HTML are called so whatever the
 * client claims; what is unknown is application/octet-stream.
 */
export async function judgeMediaType(sample: Sample): Promise<string> {
  const text = asText(sample);
  const signature = (await fileTypeFromBuffer(sample.bytes))?.mime;
  if (text === undefined) return signature ?? UNKNOWN;
  // A two-byte signature ("BM", "MZ") proves nothing about a file that reads as text.
  if (signature !== undefined && TEXTUAL_FORMATS.has(signature)) return signature;
  return markupType(text) ?? plainTextType(text, sample);
}

/** `allowed`: media types, `type/subtype` or `type/*`. */
export function isAllowed(type: string, allowed: readonly string[]): boolean {
  return allowed.includes(type) || allowed.includes(`${type.slice(0, type.indexOf('/'))}/*`);
}

/** The sample as text; undefined when it is no UTF-8 or holds bytes that no text has (WHATWG MIME Sniffing, 3). */
function asText({ bytes, complete }: Sample): string | undefined {
  try {
    // `stream` forgives a character that the sample's end cuts in two.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: !complete });
    // eslint-disable-next-line no-control-regex -- looking for them is the point
    return /[\0-\x08\x0B\x0E-\x1A\x1C-\x1F]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function plainTextType(text: string, { name, claimedType, complete }: Sample): string {
  const kind = kindByExtension(name) ?? claimedType.toLowerCase();
  if (kind === 'text/csv' || kind === 'text/markdown') return kind;
  if (kind === 'application/json' && looksLikeJson(text, complete)) return kind;
  return 'text/plain';
}

function kindByExtension(name: string): string | undefined {
  switch (/\.(\w+)$/.exec(name.toLowerCase())?.[1]) {
    case 'csv':
      return 'text/csv';
    case 'md':
    case 'markdown':
      return 'text/markdown';
    case 'json':
      return 'application/json';
    case undefined:
    default:
      return undefined;
  }
}

function looksLikeJson(text: string, complete: boolean): boolean {
  if (!complete) return /^\s*[{[]/.test(text);
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

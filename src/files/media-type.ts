import { fileTypeFromBuffer } from 'file-type';
import { markupType } from './markup.js';
import { isMpegAudio } from './mpeg-audio.js';
import { blankStart, zipEnd, type SecondLook } from './second-look.js';
import { decodeText, isText } from './text-encoding.js';

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

/** What a file is. */
export interface Judgement {
  /** The media type, lower case, without parameters. */
  readonly type: string;
  /** The encoding of a text, by its name in the WHATWG Encoding Standard; null for what is no text. */
  readonly charset: string | null;
}

/** By the first bytes. `later`: if it is set, the rest of the file may change the type. */
export interface FirstJudgement extends Judgement {
  readonly later?: SecondLook;
}

/**
 * Judges a file by its content. Markup is called so whatever the client claims; what is unknown is
 * application/octet-stream.
 */
export async function judgeMediaType(sample: Sample): Promise<FirstJudgement> {
  const { bytes, complete } = sample;
  if (beginsLikePdf(bytes)) return binary('application/pdf');
  const text = decodeText(bytes, complete);
  const signature = await signatureOf(sample);
  if (text === undefined) {
    const later = signature === 'application/zip' && !complete ? zipEnd() : undefined;
    return { ...binary(signature ?? UNKNOWN), ...(later && { later }) };
  }
  // A two-byte signature ("BM", "MZ") proves nothing about a file that reads as text.
  if (signature !== undefined && TEXTUAL_FORMATS.has(signature)) return binary(signature);
  const judged = { type: typeOfText(text.text, sample), charset: text.charset };
  if (complete || text.text.trim() !== '') return judged;
  const judgeRest = (rest: string): string => (isText(rest) ? typeOfText(rest, sample) : UNKNOWN);
  return { ...judged, later: blankStart(text.charset, SAMPLE_BYTES, judgeRest) };
}

const typeOfText = (text: string, sample: Sample): string =>
  markupType(text) ?? formatOf(text) ?? plainTextType(text, sample);

/** `allowed`: media types, `type/subtype` or `type/*`. */
export function isAllowed(type: string, allowed: readonly string[]): boolean {
  return allowed.includes(type) || allowed.includes(`${type.slice(0, type.indexOf('/'))}/*`);
}

const binary = (type: string): Judgement => ({ type, charset: null });

/** Readers of PDF accept space before the header. */
const beginsLikePdf = (bytes: Buffer): boolean =>
  /^(?:\xEF\xBB\xBF)?[\0\t\n\f\r ]*%PDF-\d/.test(bytes.toString('latin1', 0, 1024));

/** The type by the signature, unless that is too short to prove anything and nothing else confirms it. */
async function signatureOf({ bytes, complete }: Sample): Promise<string | undefined> {
  const found = (await fileTypeFromBuffer(bytes))?.mime.replace(/;.*/, '');
  if (found === 'audio/mpeg' || found === 'audio/aac') {
    return bytes.toString('latin1', 0, 3) === 'ID3' || isMpegAudio(bytes, complete) ? found : undefined;
  }
  if (found === 'image/bmp') return isBitmap(bytes) ? found : undefined;
  return found;
}

/** The headers' sizes, from OS/2's to that of Windows' fifth version, and the reserved bytes before. */
const isBitmap = (bytes: Buffer): boolean =>
  bytes.length >= 18 &&
  bytes.readUInt32LE(6) === 0 &&
  [12, 16, 40, 52, 56, 64, 108, 124].includes(bytes.readUInt32LE(14));

/** A text format that its first line names. */
function formatOf(text: string): string | undefined {
  const [line = ''] = text.slice(0, 1000).trimStart().split(/\s/, 1);
  switch (line.toUpperCase()) {
    case 'BEGIN:VCALENDAR':
      return 'text/calendar';
    case 'BEGIN:VCARD':
      return 'text/vcard';
    case 'WEBVTT':
      return 'text/vtt';
    default:
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

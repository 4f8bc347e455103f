import { badInput } from '../errors.js';

/**
 * Relay global ids: a short prefix for the type, then the UUIDs as base64url, 22 characters each. Opaque to clients,
 * URL-safe, and written in exactly one way, so that they serve as cache keys.
 */
const PREFIXES = {
  User: 'user',
  Viewer: 'viewer',
  Room: 'room',
  RoomMember: 'member',
  Message: 'msg',
  File: 'file',
  UploadSession: 'upload',
} as const;

export type NodeTypeName = keyof typeof PREFIXES;

/** No id is longer: its prefix, and two UUIDs. */
const MAX_LENGTH = 64;

const TYPES = new Map(Object.entries(PREFIXES).map(([type, prefix]) => [prefix, type as NodeTypeName]));

/** `id` is a UUID, or two joined by a colon (a RoomMember: room and user). */
export function encodeId(type: NodeTypeName, id: string): string {
  const short =
    id.length === UUID_LENGTH
      ? shortUuid(id)
      : Buffer.from(id.replaceAll(/[-:]/g, ''), 'hex').toString('base64url');
  return `${PREFIXES[type]}_${short}`;
}

const UUID_LENGTH = 36;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** The codes of the two characters that 12 bits are written as, one after the other. */
const PAIRS = Uint8Array.from({ length: 2 * 64 * 64 }, (_, i) =>
  ALPHABET.charCodeAt(i % 2 === 0 ? i >> 7 : (i >> 1) & 63),
);
/** Of each hexadecimal digit's code, its value. */
const DIGITS = Uint8Array.from(
  { length: 128 },
  (_, code) => Number.parseInt(String.fromCharCode(code), 16) || 0,
);

/**
 * A UUID in lower case as base64url. All characters at once: put together from parts it would cost three times as much, and a page has a hundred.
 */
function shortUuid(id: string): string {
  const a = place(id, 0, 1, 2);
  const b = place(id, 3, 4, 5);
  const c = place(id, 6, 7, 9);
  const d = place(id, 10, 11, 12);
  const e = place(id, 14, 15, 16);
  const f = place(id, 17, 19, 20);
  const g = place(id, 21, 22, 24);
  const h = place(id, 25, 26, 27);
  const i = place(id, 28, 29, 30);
  const j = place(id, 31, 32, 33);
  const k = (digit(id, 34) << 9) | (digit(id, 35) << 5);
  // prettier-ignore
  return String.fromCharCode(
    at(a), at(a + 1), at(b), at(b + 1), at(c), at(c + 1), at(d), at(d + 1),
    at(e), at(e + 1), at(f), at(f + 1), at(g), at(g + 1), at(h), at(h + 1),
    at(i), at(i + 1), at(j), at(j + 1), at(k), at(k + 1),
  );
}

/** Where `PAIRS` has the two for the digits at three places. */
const place = (id: string, a: number, b: number, c: number): number =>
  (digit(id, a) << 9) | (digit(id, b) << 5) | (digit(id, c) << 1);

const digit = (id: string, at: number): number => DIGITS[id.charCodeAt(at)] ?? 0;
const at = (place: number): number => PAIRS[place] ?? 0;

/** Undefined for anything that `encodeId` did not make. */
export function parseId(text: string): { type: NodeTypeName; id: string } | undefined {
  const cut = text.indexOf('_');
  const type = TYPES.get(text.slice(0, cut) as (typeof PREFIXES)[NodeTypeName]);
  if (cut < 0 || type === undefined || text.length > MAX_LENGTH) return undefined;
  const bytes = Buffer.from(text.slice(cut + 1), 'base64url');
  if (bytes.length !== (type === 'RoomMember' ? 32 : 16)) return undefined;
  const id = bytes.length === 32 ? `${uuid(bytes, 0)}:${uuid(bytes, 16)}` : uuid(bytes, 0);
  return encodeId(type, id) === text ? { type, id } : undefined;
}

/** The UUID that an argument names. Throws BAD_USER_INPUT, naming `field`, for an id of another type or no id at all. */
export function decodeId(type: NodeTypeName, text: string, field: string): string {
  const parsed = parseId(text);
  if (parsed?.type !== type) throw badInput(field, `\`${field}\` must be the id of a ${type}.`);
  return parsed.id;
}

function uuid(bytes: Buffer, start: number): string {
  const hex = bytes.toString('hex', start, start + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

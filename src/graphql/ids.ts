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
/** The two characters that 12 bits are written as. */
const PAIRS = Array.from(
  { length: 64 * 64 },
  (_, bits) => `${ALPHABET[bits >> 6] ?? ''}${ALPHABET[bits & 63] ?? ''}`,
);

/** A UUID in lower case as base64url: by a third of what a Buffer takes for it, and a page has a hundred. */
function shortUuid(id: string): string {
  const first = pair(id, 0, 1, 2) + pair(id, 3, 4, 5) + pair(id, 6, 7, 9) + pair(id, 10, 11, 12);
  const second = pair(id, 14, 15, 16) + pair(id, 17, 19, 20) + pair(id, 21, 22, 24);
  const third = pair(id, 25, 26, 27) + pair(id, 28, 29, 30) + pair(id, 31, 32, 33);
  return first + second + third + (PAIRS[(digit(id, 34) << 8) | (digit(id, 35) << 4)] ?? '');
}

/** Of the digits at three places. */
const pair = (id: string, a: number, b: number, c: number): string =>
  PAIRS[(digit(id, a) << 8) | (digit(id, b) << 4) | digit(id, c)] ?? '';

function digit(id: string, at: number): number {
  const code = id.charCodeAt(at);
  return code < 58 ? code - 48 : code - 87;
}

/** Undefined for anything that `encodeId` did not make. */
export function parseId(text: string): { type: NodeTypeName; id: string } | undefined {
  const cut = text.indexOf('_');
  const type = TYPES.get(text.slice(0, cut) as (typeof PREFIXES)[NodeTypeName]);
  if (cut < 0 || type === undefined) return undefined;
  const bytes = Buffer.from(text.slice(cut + 1), 'base64url');
  if (bytes.length !== (type === 'RoomMember' ? 32 : 16)) return undefined;
  const id = bytes.length === 32 ? `${uuid(bytes, 0)}:${uuid(bytes, 16)}` : uuid(bytes, 0);
  return encodeId(type, id) === text ? { type, id } : undefined;
}

/** The UUID that an argument names. Throws BAD_USER_INPUT, naming `field`, for an id of another type or no id at all. */
export function decodeId(type: NodeTypeName, text: string, field: string): string {
  const parsed = parseId(text);
  if (parsed?.type !== type) throw badInput(field, `\`${field}\` takes the id of a ${type}.`);
  return parsed.id;
}

function uuid(bytes: Buffer, start: number): string {
  const hex = bytes.toString('hex', start, start + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

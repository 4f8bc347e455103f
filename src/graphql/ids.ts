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
} as const;

export type NodeTypeName = keyof typeof PREFIXES;

const TYPES = new Map(Object.entries(PREFIXES).map(([type, prefix]) => [prefix, type as NodeTypeName]));

/** `id` is a UUID, or two joined by a colon (a RoomMember: room and user). */
export function encodeId(type: NodeTypeName, id: string): string {
  return `${PREFIXES[type]}_${Buffer.from(id.replaceAll(/[-:]/g, ''), 'hex').toString('base64url')}`;
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

/**
 * The place of an event in a room's log, as clients hold it: version (1 byte), room (16), seq (6, big endian), tag (8), in
 * base64url. It needs no signature: reading from it requires the right to read the room, and its tag is compared with
 * the log (event-log.ts).
 */
const VERSION = 0xe1;
const LENGTH = 1 + 16 + 6 + 8;

export interface EventCursor {
  readonly roomId: string;
  /** 0: before the first event. */
  readonly seq: number;
  readonly tag: string;
}

export function encodeEventCursor({ roomId, seq, tag }: EventCursor): string {
  const bytes = Buffer.allocUnsafe(LENGTH);
  bytes[0] = VERSION;
  bytes.write(roomId.replaceAll('-', ''), 1, 'hex');
  bytes.writeUIntBE(seq, 17, 6);
  bytes.write(tag, 23, 'base64url');
  return bytes.toString('base64url');
}

/** Undefined for anything that `encodeEventCursor` did not make. */
export function decodeEventCursor(text: string): EventCursor | undefined {
  const bytes = Buffer.from(text, 'base64url');
  // Comparing with the canonical text refuses what Buffer lets pass: other alphabets, padding, stray bits.
  if (bytes.length !== LENGTH || bytes[0] !== VERSION || bytes.toString('base64url') !== text)
    return undefined;
  const hex = bytes.toString('hex', 1, 17);
  const roomId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  return { roomId, seq: bytes.readUIntBE(17, 6), tag: bytes.toString('base64url', 23) };
}

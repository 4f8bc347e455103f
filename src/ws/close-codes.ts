/**
 * How a socket is closed, and what the client should do (graphql-transport-ws, RFC 6455). graphql-ws's core closes with the
 * codes of the protocol itself: 4400, 4401, 4403, 4406, 4409 and 4429.
 */
export const CLOSE = {
  /** The server restarts: connect again after a random pause, and resume. */
  RESTART: { code: 1012, reason: 'Service restart' },
  /** Too many connections or waiting messages, a reader that fell silent, or a database that is away: back off, then connect again. */
  TRY_LATER: { code: 1013, reason: 'Try again later' },
  /** The token was refused, has run out, or its sign-in was ended: connect again with a fresh one. */
  FORBIDDEN: { code: 4403, reason: 'Forbidden' },
  /** No ConnectionInit in time: connect again. */
  NO_INIT: { code: 4408, reason: 'Connection initialisation timeout' },
  /** No message that a client sends: do not repeat. */
  BAD_MESSAGE: { code: 4400, reason: 'Invalid message' },
  /** A defect on the server: do not repeat. */
  INTERNAL: { code: 4500, reason: 'Internal server error' },
} as const;

export type Close = (typeof CLOSE)[keyof typeof CLOSE];

/** Bytes of a close frame beside its code (RFC 6455, section 5.5.1). */
const REASON_BYTES = 123;

/** The reason as far as a close frame holds it, cut between two characters. A client's words may be in it. */
export function fittingReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= REASON_BYTES) return reason;
  let end = REASON_BYTES;
  // Not before a byte that goes on with a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

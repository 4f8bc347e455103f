import type { Answer } from '../live/sink.js';

/** Whole frames of `next` messages for an operation's id of one length, and where in them the id stands. */
export interface Frames {
  /** The id's places hold whatever was written there last. */
  bytes: Buffer;
  readonly places: readonly number[];
}

const HEAD = '{"id":"';
const MIDDLE = Buffer.from('","type":"next","payload":');

/** Unmasked text frames (RFC 6455, section 5.2), one for each answer, for ids of `idLength` bytes. */
export function framesOf(answers: readonly Answer[], idLength: number): Frames {
  const texts = answers.map(({ text }) => Buffer.from(text));
  const lengths = texts.map(({ length }) => HEAD.length + idLength + MIDDLE.length + length + 1);
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + headerOf(length) + length, 0));
  const places: number[] = [];
  let at = 0;
  texts.forEach((text, i) => {
    at = writeHeader(bytes, at, lengths[i] ?? 0);
    at += bytes.write(HEAD, at, 'latin1');
    places.push(at);
    at += idLength;
    at += MIDDLE.copy(bytes, at);
    at += text.copy(bytes, at);
    bytes[at++] = 0x7d;
  });
  return { bytes, places };
}

/** The same message for one who needs it as a text of its own. */
export const messageOf = ({ text }: Answer, id: string): string =>
  `${HEAD}${id}${MIDDLE.toString('latin1')}${text}}`;

const headerOf = (length: number): number => (length < 126 ? 2 : length < 65_536 ? 4 : 10);

/** FIN and the opcode of text; the length in the shortest form. */
function writeHeader(bytes: Buffer, at: number, length: number): number {
  bytes[at] = 0x81;
  if (length < 126) {
    bytes[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    bytes[at + 1] = 126;
    return bytes.writeUInt16BE(length, at + 2);
  }
  bytes[at + 1] = 127;
  return bytes.writeBigUInt64BE(BigInt(length), at + 2);
}

/** What is posted: its number, so that a delivery tells which message it is whatever id the server gave it, and some text. */
export const bodyOf = (number) => `#${String(number).padStart(8, '0')} ${FILL}`;

const FILL = 'The quick brown fox jumps over the lazy dog while the chat room scrolls by and nobody minds. '
  .repeat(2)
  .slice(0, 160);

const HASH = '#'.charCodeAt(0);
const ZERO = '0'.charCodeAt(0);

/** The number of the message that lies between `start` and `end`; -1 for anything else. */
export function numberIn(buffer, start, end) {
  const at = buffer.indexOf(HASH, start);
  if (at < 0 || at + 9 > end) return -1;
  let number = 0;
  for (let digit = at + 1; digit < at + 9; digit++) number = number * 10 + buffer[digit] - ZERO;
  return number;
}

/** Throws unless it is a message as it was posted, with all that was asked for. */
export function checkMessage(message) {
  const whole = message?.id && message.createdAt && message.author?.id && message.author.name;
  if (!whole || message.body !== bodyOf(Number(message.body?.slice(1, 9)))) {
    throw new Error(`not a message as it was posted: ${JSON.stringify(message)}`);
  }
}

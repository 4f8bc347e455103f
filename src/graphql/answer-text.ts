import { ParleyError } from '../errors.js';
import { counts } from '../observability/counts.js';
import { limits } from './limits.js';

/** Whether a text has more bytes than an answer may. */
export const isTooLarge = (text: string): boolean =>
  text.length * 3 > limits.answerBytes &&
  (text.length > limits.answerBytes || Buffer.byteLength(text) > limits.answerBytes);

export const answerTooLarge = (): ParleyError =>
  new ParleyError(
    'QUERY_TOO_COMPLEX',
    `The answer has more than ${String(limits.answerBytes)} bytes. Ask for less at once: fewer fields, smaller pages. A mutation has been carried out.`,
  );

/** The answer in place of one that is too large. */
export function refusedAnswer(): string {
  const { code, message } = answerTooLarge();
  counts.errors[code] += 1;
  return JSON.stringify({ errors: [{ message, extensions: { code } }], data: null });
}

/** The JSON text of an answer, or of the error that it is too large. */
export function answerText(answer: object): string {
  let text: string;
  try {
    text = JSON.stringify(answer);
  } catch (error) {
    // There is no text of such a length.
    if (error instanceof RangeError) return refusedAnswer();
    throw error;
  }
  return isTooLarge(text) ? refusedAnswer() : text;
}

import { nameKey } from '../names.js';
import { emailKey, shownEmail, trimmedEmail } from './email.js';

/** Letters that a name has at least to count where a password contains it: "al" is in many a good one. */
const MIN_PART = 4;
/** Characters that a password has at least, not counting spaces around them. */
const MIN_LENGTH = 8;
/** Different characters that a password has at least. */
const MIN_DIFFERENT = 4;
/** Characters that are worth nothing behind a common word: `password2024!`. */
const AFFIX = /^[^\p{L}]{0,5}|[^\p{L}]{0,5}$/gu;
/** Spaces, and what cannot be seen. */
const INVISIBLE = /^[\s\p{Z}\p{C}]*$/u;

let common: Promise<ReadonlySet<string>> | undefined;

/** The 49,000 most common passwords, 380 KB, loaded when the first account is made. */
async function commonPasswords(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  return new Set(dictionary['passwords-common']);
}

/**
 * Why a password would be guessed soon, as a sentence for whoever chose it; undefined for one that may be used. What NIST SP 800-63B
 * section 3.1.1.2 asks for: no rules on kinds of characters, but nothing common, repetitive, in sequence or taken from the account.
 */
export async function whyWeak(
  password: string,
  account: { readonly email: string; readonly handle: string; readonly name: string },
): Promise<string | undefined> {
  const plain = password.normalize('NFKC').trim();
  const folded = fold(password);
  if (INVISIBLE.test(password)) return 'A password cannot consist of spaces.';
  if (plain.length < MIN_LENGTH) {
    return `A password must have at least ${String(MIN_LENGTH)} characters, not counting spaces around them.`;
  }
  if (new Set(folded).size < MIN_DIFFERENT) {
    return `A password must have at least ${String(MIN_DIFFERENT)} different characters.`;
  }
  if (isSequence(folded)) return 'A password cannot be a sequence such as 12345678.';
  if (partsOf(account).some((part) => folded.includes(part) || part.includes(folded))) {
    return 'A password cannot contain your e-mail address, handle or name.';
  }
  common ??= commonPasswords();
  const list = await common;
  const unit = repeated(folded);
  const found = [folded, folded.replaceAll(AFFIX, ''), unit].some((text) => list.has(text));
  return found || (unit !== folded && unit.length < MIN_LENGTH)
    ? 'This password is one of the most common ones: choose another.'
    : undefined;
}

/** The same for every way to write it that a guesser would try along. */
const fold = (text: string): string => nameKey(text).trim();

/** What others know of the account. */
function partsOf({ email, handle, name }: { email: string; handle: string; name: string }): string[] {
  const address = trimmedEmail(email);
  const local = address.slice(0, address.lastIndexOf('@'));
  const key = emailKey(email) ?? '';
  return [address, key, shownEmail(key), local, handle, name]
    .map(fold)
    .filter((part) => part.length >= MIN_PART);
}

/** Whether each character follows the one before, upwards or downwards. */
function isSequence(text: string): boolean {
  const steps = new Set<number>();
  for (let i = 1; i < text.length; i++) steps.add(text.charCodeAt(i) - text.charCodeAt(i - 1));
  return steps.size === 1;
}

/** The shortest text that the whole is a repetition of: itself, mostly. */
function repeated(text: string): string {
  const period = (text + text).indexOf(text, 1);
  return text.slice(0, period);
}

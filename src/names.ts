/**
 * How names of people, rooms and files are kept and compared. Kept: in NFC, without what hides or reorders text. Compared: by
 * full case folding, on both sides by the same function.
 */
import { beginning } from './text.js';

/** UTF-16 units of a name that are compared: no name has more. To order marks takes the square of their number. */
const LONGEST = 1024;

/**
 * Unicode's full case folding (CaseFolding.txt, statuses C and F), in NFC. The same in every language. Texts that differ in
 * case alone have the same one: `Straße` and `STRASSE`, `ΟΔΟΣ` and `οδος`.
 */
export const foldCase = (text: string): string =>
  folded(beginning(text, LONGEST).normalize('NFD')).normalize('NFC');

/**
 * Lower case of the upper case, as folding is defined, but for two letters: the dotless ı, whose upper case is that of i, is
 * a letter of its own, and the final sigma is not. Lower case comes first for the capital ẞ, whose upper case is itself.
 */
const folded = (text: string): string =>
  text
    .split('ı')
    .map((part) => part.toLowerCase().toUpperCase().toLowerCase())
    .join('ı')
    .replaceAll('ς', 'σ');

/** An i that keeps its dot where it has got one from İ: people leave it out. */
const DOTTED = /i\u0307+/gu;

/**
 * A name as it is sorted and searched: besides case, compatibility forms make no difference (full-width letters, ligatures), nor
 * does the dot of İ.
 */
export const nameKey = (name: string): string =>
  folded(folded(beginning(name, LONGEST).normalize('NFD')).normalize('NFKD'))
    .normalize('NFKC')
    .replaceAll(DOTTED, 'i')
    .normalize('NFKC');

/** A flag such as Scotland's, which is spelled by tags; or a character that hides, reorders, or cannot be stored. */
const FLAG_OR_HIDDEN =
  /\u{1F3F4}[\u{E0030}-\u{E0039}\u{E0061}-\u{E007A}]{3,6}\u{E007F}|[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Signs of Arabic, Syriac and Kaithi that stand before numbers: Unicode calls them formats, and they are seen. */
const SEEN = /^[\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\u{110BD}\u{110CD}]$/u;

const JOINERS = new Set(['\u200C', '\u200D', '\u180E']);
/** What a joiner joins to the picture behind it. */
const PICTURE_BEFORE = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\uFE0F]$/u;
const PICTURE_BEHIND = /^\p{Extended_Pictographic}/u;
/** Letters of scripts that are written with joiners. */
const JOINING = [
  /[\p{scx=Arab}\p{scx=Syrc}\p{scx=Mong}\p{scx=Nkoo}\p{scx=Adlm}\p{scx=Rohg}\p{scx=Deva}\p{scx=Beng}]/u,
  /[\p{scx=Guru}\p{scx=Gujr}\p{scx=Orya}\p{scx=Taml}\p{scx=Telu}\p{scx=Knda}\p{scx=Mlym}\p{scx=Sinh}]/u,
  /[\p{scx=Tibt}\p{scx=Mymr}\p{scx=Khmr}\p{scx=Java}\p{scx=Bali}]/u,
];
const LETTER = /^\p{L}/u;
const MARK = /^\p{M}/u;
/** UTF-16 units before a joiner that are looked at for the letter: more marks than have a place on one. */
const MOST_MARKS = 24;

/**
 * The text without what hides or reorders what is read (bidi overrides, zero-width spaces, lone tags), controls, line separators
 * and unpaired surrogates. Emoji stay whole, and so do joiners where a script is written with them.
 */
export const withoutHidden = (text: string): string =>
  text.replaceAll(FLAG_OR_HIDDEN, (found: string, at: number) =>
    found.length > 2 || SEEN.test(found) || (JOINERS.has(found) && joins(text, at)) ? found : '',
  );

/** Whether the joiner there does what it is for. */
function joins(text: string, at: number): boolean {
  const before = text.slice(Math.max(at - 2, 0), at);
  if (text[at] === '\u200D' && PICTURE_BEFORE.test(before))
    return PICTURE_BEHIND.test(text.slice(at + 1, at + 3));
  const letter = Array.from(text.slice(Math.max(at - MOST_MARKS, 0), at)).findLast(
    (character) => !MARK.test(character),
  );
  return letter !== undefined && LETTER.test(letter) && JOINING.some((letters) => letters.test(letter));
}

const BREAKS = /[\t\n\v\f\r\u0085\u2028\u2029]+/gu;

/** The name of a person or a room as it is kept: one line in NFC, with nothing hidden in it. */
export const keptName = (given: string): string =>
  withoutHidden(given.replaceAll(BREAKS, ' ').normalize('NFC')).normalize('NFC');

/** Spaces, marks without a letter, and letters and patterns that are blank. */
const BLANK = /^[\s\p{Cc}\p{Cf}\p{Z}\p{M}\u115F\u1160\u2800\u3164\uFFA0]*$/u;

/** Whether there is nothing to see. */
export const isBlank = (name: string): boolean => BLANK.test(name);

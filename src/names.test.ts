import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldCase, isBlank, keptName, nameKey, withoutHidden } from './names.js';

/** CaseFolding.txt, status F. A letter, then what it is folded to; or a first and a last letter, whose last two bits do not count. */
const FULL =
  'ß=ss İ=i̇ ŉ=ʼn ǰ=ǰ ΐ=ΐ ΰ=ΰ և=եւ ẖ=ẖ ẗ=ẗ ẘ=ẘ ẙ=ẙ ẚ=aʾ ẞ=ss ὐ=ὐ ὒ=ὒ ὔ=ὔ ὖ=ὖ ᾀ=ἀι ᾁ=ἁι ᾂ=ἂι ᾃ=ἃι ᾄ=ἄι ᾅ=ἅι ᾆ=ἆι ᾇ=ἇι ' +
  'ᾈ=ἀι ᾉ=ἁι ᾊ=ἂι ᾋ=ἃι ᾌ=ἄι ᾍ=ἅι ᾎ=ἆι ᾏ=ἇι ᾐ=ἠι ᾑ=ἡι ᾒ=ἢι ᾓ=ἣι ᾔ=ἤι ᾕ=ἥι ᾖ=ἦι ᾗ=ἧι ᾘ=ἠι ᾙ=ἡι ᾚ=ἢι ᾛ=ἣι ᾜ=ἤι ᾝ=ἥι ' +
  'ᾞ=ἦι ᾟ=ἧι ᾠ=ὠι ᾡ=ὡι ᾢ=ὢι ᾣ=ὣι ᾤ=ὤι ᾥ=ὥι ᾦ=ὦι ᾧ=ὧι ᾨ=ὠι ᾩ=ὡι ᾪ=ὢι ᾫ=ὣι ᾬ=ὤι ᾭ=ὥι ᾮ=ὦι ᾯ=ὧι ᾲ=ὰι ᾳ=αι ᾴ=άι ᾶ=ᾶ ' +
  'ᾷ=ᾶι ᾼ=αι ῂ=ὴι ῃ=ηι ῄ=ήι ῆ=ῆ ῇ=ῆι ῌ=ηι ῒ=ῒ ΐ=ΐ ῖ=ῖ ῗ=ῗ ῢ=ῢ ΰ=ΰ ῤ=ῤ ῦ=ῦ ῧ=ῧ ῲ=ὼι ῳ=ωι ῴ=ώι ῶ=ῶ ῷ=ῶι ῼ=ωι ' +
  'ﬀ=ff ﬁ=fi ﬂ=fl ﬃ=ffi ﬄ=ffl ﬅ=st ﬆ=st ﬓ=մն ﬔ=մե ﬕ=մի ﬖ=վն ﬗ=մխ';

const everyCharacter = function* (): Generator<string> {
  for (let code = 0; code < 0x110000; code++)
    if (code < 0xd800 || code > 0xdfff) yield String.fromCodePoint(code);
};

/** Letters that make it hard. */
const hard = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      ...Array.from(
        'iIıİßẞſsςσΣKÅﬁǰ\u0307\u0301\u0323\u0345\u0308\u200C\u200D\u200B\u202Eکक\u094D👩🏽❤\uFE0F🏴\u{E0067}\u{E007F}🇨🇭 .',
      ),
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
  maxLength: 20,
});

describe('Folding of case', () => {
  it('looks at no more than a name can have: marks take the square of their number', () => {
    const marks = `a${'\u0315\u0316'.repeat(200_000)}`;
    for (const key of [foldCase(marks), nameKey(marks)]) expect(key.length).toBeLessThan(2000);
  });

  it('makes equal what Unicode says is equal, letter by letter', { timeout: 30_000 }, () => {
    // Status C is simple folding without exceptions, which is what expressions do.
    const different = Array.from(everyCharacter()).filter((character) =>
      [character.toLowerCase(), character.toUpperCase()].some(
        (other) =>
          other !== character &&
          Array.from(other).length === 1 &&
          foldCase(other) !== foldCase(character) &&
          /^[^\\^\]-]$/u.test(other) &&
          new RegExp(`^[${other}]$`, 'iu').test(character),
      ),
    );
    expect(different).toEqual([]);
    for (const pair of FULL.split(' ')) {
      const [letter = '', wanted = ''] = pair.split('=');
      expect([letter, foldCase(letter)]).toEqual([letter, foldCase(wanted)]);
      expect(foldCase(wanted)).toBe(wanted.normalize('NFC'));
    }
  });

  it('makes nothing else equal: the dotless ı is no i', () => {
    expect(foldCase('ı')).toBe('ı');
    expect(foldCase('Iı')).toBe('iı');
    expect(foldCase('İ')).not.toBe(foldCase('I'));
    const equal = Array.from(everyCharacter()).filter(
      (character) => /^\p{Ll}$/u.test(character) && character !== 'i' && foldCase(character) === 'i',
    );
    expect(equal).toEqual([]);
  });

  it.each([
    ['ΟΔΟΣ', 'οδος'],
    ['Σ', 'ς'],
    ['STRASSE', 'straße'],
    ['ẞ', 'ß'],
    ['İ', 'i\u0307'],
    ['É', 'e\u0301'],
    ['ꭰ', 'Ꭰ'],
    ['\u1FB3\u0301', '\u03B1\u0301\u0345'],
  ])('of %s and %s is the same', (one, other) => {
    expect(foldCase(one)).toBe(foldCase(other));
    expect(nameKey(one)).toBe(nameKey(other));
  });

  it('is the same for a folded text, and for its other cases and forms', () => {
    fc.assert(
      fc.property(hard, (given) => {
        for (const key of [foldCase, nameKey]) {
          const text = key(given);
          expect(key(text)).toBe(text);
          for (const form of ['NFC', 'NFD'] as const) expect(key(given.normalize(form))).toBe(text);
          expect(text.normalize('NFC')).toBe(text);
        }
        expect(nameKey(foldCase(given))).toBe(nameKey(given));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('The key of a name', () => {
  it('makes no difference between forms of the same letters, nor by the dot of İ', () => {
    expect(nameKey('ＲＥＰＯＲＴ.PDF')).toBe('report.pdf');
    expect(nameKey('ﬁnal')).toBe('final');
    for (const name of ['İSTANBUL', 'istanbul', 'i\u0307stanbul']) expect(nameKey(name)).toBe('istanbul');
  });
});

const SCOTLAND = '🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}';

describe('A name that is kept', () => {
  it.each([
    '👨‍👩‍👧‍👦',
    '👩🏽‍🚀',
    '❤️‍🔥',
    '🏳️‍🌈',
    '🏴‍☠️',
    '🇨🇭🇺🇦',
    SCOTLAND,
    '1️⃣#️⃣',
    'می‌خواهم',
    'क्‍ष',
    'ශ්‍රී',
    '۱۳۹۰ ه‍.ش',
    '日本',
    '葛\u{E0100}',
  ])('has all of %s', (name) => {
    expect(keptName(name)).toBe(name.normalize('NFC'));
  });

  it.each([
    ['Ada\u202E', 'Ada'],
    ['a\u200Bd\u200Da\u200C\u2060\uFEFF\u00AD', 'ada'],
    ['i\u0308\u200C\u0308', 'ï\u0308'],
    ['\u200D👩', '👩'],
    ['👩\u200D', '👩'],
    [`A${SCOTLAND.slice(2)}`, 'A'],
    ['🏴\u{E0067}\u{E0062}', '🏴'],
    ['Ada\r\nByron\u2028', 'Ada Byron '],
    ['a\u0007\uD800', 'a'],
    ['cafe\u0301', 'café'],
    ['e\u200B\u0301', 'é'],
  ])('of %j is %j', (given, name) => {
    expect(keptName(given)).toBe(name);
  });

  it('is kept as it is when it comes again', () => {
    fc.assert(
      fc.property(hard, (given) => {
        const name = keptName(given);
        expect(keptName(name)).toBe(name);
        expect(withoutHidden(name)).toBe(name);
        expect(name.normalize('NFC')).toBe(name);
      }),
      { numRuns: 1000 },
    );
  });

  it('is blank if nothing of it is seen', () => {
    for (const name of ['', ' ', '\u3164', '\u2800', '\u0301', '\u00A0\uFE0F'])
      expect(isBlank(name)).toBe(true);
    for (const name of ['a', '1️⃣', '👩', 'ㅤa', 'é']) expect(isBlank(name)).toBe(false);
  });
});

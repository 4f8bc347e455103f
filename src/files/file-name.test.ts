import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cpuTime } from '../../test/support/work.js';
import { nameKey } from '../names.js';
import { safeName } from './file-name.js';

/** Milliseconds of the processor. */
const MOST = 500;

describe('a safe name', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['/etc/passwd', 'passwd'],
    ['..\\..\\boot.ini', 'boot.ini'],
    ['folder/', 'file'],
    ['', 'file'],
    ['.', 'file'],
    ['..', 'file'],
    ['.htaccess', 'htaccess'],
    [' . . name.txt. . ', 'name.txt'],
    ['a\u0000b\r\n\tc.txt', 'abc.txt'],
    ['invoice\u202Efdp.exe', 'invoicefdp.exe'],
    ['zero\u200Bwidth\uFEFF.txt', 'zerowidth.txt'],
    ['cafe\u0301.txt', 'caf\u00E9.txt'],
    ['\uD800lone.txt', 'lone.txt'],
    ['two  \u00A0 spaces.txt', 'two spaces.txt'],
    ['family-👨‍👩‍👧.png', 'family-👨‍👩‍👧.png'],
    [
      '🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}🇨🇭🏳️‍🌈.png',
      '🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}🇨🇭🏳️‍🌈.png',
    ],
    ['pay\u200Dpal\u200C.txt', 'paypal.txt'],
    ['quotes"\'<>.txt', 'quotes"\'<>.txt'],
  ])('of %j is %j', (given, expected) => {
    expect(safeName(given)).toBe(expected);
  });

  it('of a long one is cut between two characters and keeps its extension', () => {
    expect(safeName(`${'x'.repeat(1000)}.docx`)).toBe(`${'x'.repeat(250)}.docx`);
    expect(safeName(`${'日'.repeat(1000)}.txt`)).toBe(`${'日'.repeat(83)}.txt`);
    expect(safeName(`a.${'b'.repeat(1000)}`)).toBe(`a.${'b'.repeat(253)}`);
    // What people see as one character has up to a few dozen bytes.
    expect(safeName(`${'👨‍👩‍👧'.repeat(100)}.txt`)).toBe(`${'👨‍👩‍👧'.repeat(13)}.txt`);
    expect(safeName(`x${'🇨🇭'.repeat(1000)}.txt`)).toBe(`x${'🇨🇭'.repeat(31)}.txt`);
    expect(safeName(`e${'\u0301\u0300'.repeat(1000)}.txt`)).toMatch(/^é[\u0300\u0301]{124}\.txt$/);
  });

  it.each([
    ['dots', '.'],
    ['dots before a letter', '.', 'a'],
    ['spaces', ' '],
    ['spaces before a letter', ' ', 'a'],
    ['both', '. .\u00A0'],
    ['marks in the wrong order', '\u0315\u0300'],
    ['lone surrogates', '\uDC00\uD800'],
    ['NUL', '\0'],
    ['slashes', '/'],
    ['characters that are hidden', '\u200B\u202E'],
    ['joiners', '\u200C'],
    ['letters that fall apart', '\uFDFA'],
  ])('of a million %s is found at once', async (_what, unit, end = '') => {
    const given = `x${unit.repeat(1_000_000 / unit.length)}${end}.txt`;
    expect(await cpuTime(() => nameKey(safeName(given)), MOST)).toBeLessThan(MOST);
    const name = safeName(given);
    expect(name).toMatch(/\.?txt$/);
    expect(safeName(name)).toBe(name);
  });

  it('holds its promises for any name, and is its own safe name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (given) => {
        const name = safeName(given);
        expect(safeName(name)).toBe(name);
        expect(Buffer.byteLength(name)).toBeGreaterThan(0);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        expect(name).not.toMatch(/[/\\\p{Cc}\u202A-\u202E\u2066-\u2069]|^\.|^\s|\s$/u);
        expect(name).toBe(name.normalize('NFC'));
      }),
    );
    // The generator takes its time to begin.
  }, 30_000);
});

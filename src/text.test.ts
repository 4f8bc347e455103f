import { describe, expect, test } from 'vitest';
import { beginning, beginningOfBytes, ending } from './text.js';

describe('The beginning of a text', () => {
  test.each([
    ['abc', 2, 'ab'],
    ['abc', 3, 'abc'],
    ['a😀b', 2, 'a'],
    ['a👨‍👩‍👧b', 5, 'a'],
    ['ab🇨🇭🇺🇦', 8, 'ab🇨🇭'],
    ['e\u0301e\u0301', 3, 'e\u0301'],
    [`${'a'.repeat(1000)}👩🏽‍🚀`, 1003, 'a'.repeat(1000)],
  ])('%# is cut between two characters', (text, max, cut) => {
    expect(beginning(text, max)).toBe(cut);
  });

  test('is cut within a character that is too long, but never within a pair', () => {
    expect(beginning(`e${'\u0301'.repeat(1000)}`, 700)).toHaveLength(700);
    expect(beginning('👨‍👩‍👧', 4)).toBe('👨‍');
    expect(beginningOfBytes('👨‍👩‍👧', 9)).toBe('👨‍');
  });

  test('is the longest one that fits, in bytes too', () => {
    expect(beginningOfBytes('日本語', 8)).toBe('日本');
    expect(beginningOfBytes('a👩🏽b', 8)).toBe('a');
    expect(ending('a😀b', 2)).toBe('b');
    expect(ending('a😀b', 3)).toBe('😀b');
    expect(ending('ab', 3)).toBe('ab');
  });
});

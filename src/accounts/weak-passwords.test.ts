import { describe, expect, test } from 'vitest';
import { whyWeak } from './weak-passwords.js';

const ADA = { email: 'ada.byron@example.com', handle: 'countess', name: 'Ada Lovelace' };

describe('A password that is guessed first is refused:', () => {
  test.each([
    ['12345678'],
    ['87654321'],
    ['abcdefgh'],
    ['password'],
    ['Password'],
    ['PASSWORD'],
    ['ｐａｓｓｗｏｒｄ'],
    [' password '],
    ['password1'],
    ['Password123!'],
    ['!!password!!'],
    ['P@ssw0rd'],
    ['qwertyuiop'],
    ['1qaz2wsx'],
    ['iloveyou'],
    ['dragon2024'],
    ['passwordpassword'],
    ['aaaaaaaa'],
    ['11111111'],
    ['abababab'],
    ['abcabcabc'],
    ['12341234'],
    ['        '],
    ['\t \u00a0\u2003\u200b\u2060  '],
    ['abcde     '],
    ['ada.byron@example.com'],
    ['ADA.Byron@example.com'],
    ['my ada.byron@example.com!'],
    ['xx-ada.byron-99'],
    ['countess'],
    ['the Countess 1815'],
    ['ada lovelace'],
    ['I am Ada Lovelace.'],
    ['Lovelace'],
    ['example.com'],
  ])('%j', async (password) => {
    expect(await whyWeak(password, ADA)).toMatch(/\.$|choose another/);
  });

  test.each(['jürgen@münchen.example', 'JÜRGEN 1815', 'my xn--mnchen-3ya.example!', 'ΟΔΥΣΣΕΥΣ', 'odysseus!'])(
    '%j, however the account writes its address and name',
    async (password) => {
      const account = { email: ' ju\u0308rgen@MÜNCHEN.example ', handle: 'odysseus', name: 'Οδυσσευς' };
      const given = password.replace('my ', 'jürgen@');
      expect(await whyWeak(given, account)).toContain('your e-mail address, handle or name');
    },
  );
});

describe('Another may be used:', () => {
  test.each([
    ['correct horse battery staple'],
    ['f81d4fae7dec'],
    ['Tr0ub4dor&3'],
    ['ключ от старого дома'],
    ['雨の日は家にいる'],
    ['x'.repeat(5) + 'yzw-q-17-ää'],
    [' leading spaces are mine'],
    ['ada has a nice garden'],
  ])('%j', async (password) => {
    expect(await whyWeak(password, ADA)).toBeUndefined();
  });

  test('also where a short name is part of it', async () => {
    expect(
      await whyWeak('a canal in canada', { email: 'al@x.org', handle: 'al', name: 'Ada' }),
    ).toBeUndefined();
  });

  test('and the look at it takes no time, however it is made', async () => {
    await whyWeak('loaded before', ADA);
    const texts = [
      ...['a', ' ', '1', '!', 'ab', '\u0301', 'a1!'].map((unit) => unit.repeat(256).slice(0, 256)),
      `${'a'.repeat(255)}b`,
      `${'1'.repeat(255)}a`,
    ];
    const begun = performance.now();
    for (let i = 0; i < 100; i++) for (const text of texts) await whyWeak(text, ADA);
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});

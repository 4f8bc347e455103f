import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emailKey, shownEmail, signInKey } from './email.js';

describe('An e-mail address', () => {
  test.each([
    ['Ada@Example.COM', 'ada@example.com'],
    [' ada@example.com ', 'ada@example.com'],
    ['\u200Bada@example.com\u00A0\r\n\uFEFF', 'ada@example.com'],
    ['a&b@example.com', 'a&b@example.com'],
    ["!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"],
    ['root@localhost', 'root@localhost'],
    ['ada@MÜNCHEN.example', 'ada@xn--mnchen-3ya.example'],
    ['ada@mu\u0308nchen.example', 'ada@xn--mnchen-3ya.example'],
    ['ada@XN--Mnchen-3YA.example', 'ada@xn--mnchen-3ya.example'],
    ['ada@例え。jp', 'ada@xn--r8jz45g.jp'],
    ['ada@пример.рф', 'ada@xn--e1afmkfd.xn--p1ai'],
    ['JÜRGEN@example.com', 'jürgen@example.com'],
    ['ju\u0308rgen@example.com', 'jürgen@example.com'],
    ['ΟΔΟΣ@example.com', 'οδοσ@example.com'],
    ['οδος@example.com', 'οδοσ@example.com'],
    ['用户@example.com', '用户@example.com'],
    [`${'a'.repeat(242)}@example.com`, `${'a'.repeat(242)}@example.com`],
  ])('%j is known as %j', (given, key) => {
    expect(emailKey(given)).toBe(key);
    expect(signInKey(given)).toBe(key);
    expect(emailKey(key)).toBe(key);
    expect(emailKey(shownEmail(key))).toBe(key);
  });

  test.each([
    '',
    '@',
    'ada',
    'ada@',
    '@example.com',
    'ada@@example.com',
    'a b@example.com',
    '"a b"@example.com',
    'a,b@example.com',
    'Ada <ada@example.com>',
    'a\u0000b@example.com',
    'a\u202Eb@example.com',
    'ada@exam ple.com',
    'ada@example.com.',
    'ada@.example.com',
    'ada@example..com',
    'ada@-example.com',
    'ada@exa_mple.com',
    'ada@127.0.0.1',
    'ada@[127.0.0.1]',
    'ada@１２７.0.0.1',
    'ada@0x7f',
    'ada@ü.example/path',
    'ada@ü.example:80',
    'ada@x:y@ü.example',
    'ada@ü.example?q',
    'ada@ü／.example',
    `ada@${'a'.repeat(64)}.example`,
    `${'a'.repeat(243)}@example.com`,
    `${'ü'.repeat(130)}@example.com`,
    `ada@${'ü'.repeat(80)}.example`,
  ])('%j is none', (given) => {
    expect(emailKey(given)).toBeUndefined();
  });

  test('is not that of another one whose letters look alike', () => {
    expect(emailKey('mıke@example.com')).not.toBe(emailKey('mike@example.com'));
    expect(emailKey('ada@faß.example')).not.toBe(emailKey('ada@fass.example'));
  });

  test('that was one to a version before still finds its account', () => {
    expect(signInKey(' Ada@A-.Example.com')).toBe('ada@a-.example.com');
    fc.assert(
      fc.property(fc.emailAddress(), (address) => {
        expect(signInKey(address)).toBe(address.toLowerCase());
        expect(emailKey(` ${address.toUpperCase()}\n`)).toBe(emailKey(address));
      }),
    );
  });

  test('is shown in letters', () => {
    expect(shownEmail('ada@xn--mnchen-3ya.example')).toBe('ada@münchen.example');
    expect(shownEmail('ada@example.com')).toBe('ada@example.com');
    expect(shownEmail('what a provider gave')).toBe('what a provider gave');
  });
});

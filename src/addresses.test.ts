import { describe, expect, test } from 'vitest';
import { addressKey, bareAddress } from './addresses.js';

describe('The key that an address is counted by', () => {
  test.each([
    ['192.0.2.7'],
    ['192.0.2.7:51312'],
    [' 192.0.2.7 '],
    ['192.000.002.007'],
    ['"192.0.2.7:51312"'],
    ['[192.0.2.7]:51312'],
    ['::ffff:192.0.2.7'],
    ['::FFFF:192.0.2.7'],
    ['::ffff:c000:207'],
    ['0:0:0:0:0:ffff:c000:0207'],
    ['[::ffff:192.0.2.7]'],
    ['[::ffff:192.0.2.7]:51312'],
    ['::ffff:192.0.2.7:51312'],
    ['::ffff:192.0.2.7%eth0'],
    ['64:ff9b::192.0.2.7'],
    ['64:ff9b::c000:207'],
  ])('is the IPv4 address itself, however it is written: %s', (address) => {
    expect(addressKey(address)).toBe('192.0.2.7');
  });

  test.each([
    ['2001:db8:1:2::1'],
    ['2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:DB8:1:2::1'],
    ['2001:0db8:0001:0002:0000:0000:0000:0001'],
    ['[2001:db8:1:2::1]'],
    ['[2001:db8:1:2::1]:51312'],
    ['"[2001:db8:1:2::1]:51312"'],
    ['2001:db8:1:2:0:0:0:1:51312'],
    ['2001:db8:1:2::1%eth0'],
    ['[2001:db8:1:2::1%25eth0]:51312'],
    ['2001:db8:1:2::192.0.2.7'],
  ])('is the /64 of an IPv6 address, however it is written: %s', (address) => {
    expect(addressKey(address)).toBe('2001:db8:1:2::/64');
  });

  test('tells networks apart', () => {
    const keys = [
      '2001:db8:1:2::1',
      '2001:db8:1:3::1',
      '2001:db8::1',
      '::1',
      'fe80::1',
      '192.0.2.7',
      '192.0.2.8',
    ];
    expect(new Set(keys.map(addressKey)).size).toBe(keys.length);
    expect(addressKey('2001:db8::')).toBe('2001:db8:0:0::/64');
    expect(addressKey('::1')).toBe('0:0:0:0::/64');
  });

  test.each([
    [''],
    [' '],
    ['unknown'],
    ['_hidden'],
    ['localhost'],
    ['192.0.2'],
    ['192.0.2.256'],
    ['3221225991'],
    ['192.0.2.7, 192.0.2.8'],
    ['192.0.2.7:'],
    ['192.0.2.7:x'],
    ['[2001:db8::1'],
    ['2001:db8::1::2'],
    ['2001:db8:::x'],
    ['12345::1'],
    ['[]:80'],
    ['@evil'],
    ['::1/../x'],
    ['unix:'],
  ])('is the same for all that is no address: %j', (address) => {
    expect(addressKey(address)).toBe('unknown');
  });

  test('is found as fast in a text that is no address, however long', () => {
    const long = ['1', '::1%', '[', '0', ':', ' ', '"', '0:'].map((text) => text.repeat(200_000));
    const before = performance.now();
    expect(long.map(addressKey)).toEqual(long.map(() => 'unknown'));
    expect(performance.now() - before).toBeLessThan(500);
  });
});

describe('An address without its wrapping', () => {
  test.each([
    ['192.0.2.7:51312', '192.0.2.7'],
    ['[2001:db8::1]:51312', '2001:db8::1'],
    ['2001:db8::1%eth0', '2001:db8::1'],
    ['10.0.0.1', '10.0.0.1'],
  ])('%s is %s', (text, address) => {
    expect(bareAddress(text)).toBe(address);
  });

  test('is undefined where there is none', () => {
    expect(bareAddress('unknown')).toBeUndefined();
  });
});

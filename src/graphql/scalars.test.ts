import type { GraphQLScalarType } from 'graphql';
import { describe, expect, test } from 'vitest';
import { schema } from '../schema.js';

const scalar = (name: string): GraphQLScalarType => schema.getType(name) as GraphQLScalarType;

describe('DateTime', () => {
  test('is written in UTC with milliseconds', () => {
    expect(scalar('DateTime').serialize(new Date(Date.UTC(2026, 0, 31, 12)))).toBe(
      '2026-01-31T12:00:00.000Z',
    );
  });

  test.each([
    '2026-01-31T12:00:00Z',
    '2026-01-31T13:00:00.000+01:00',
    '2026-01-31t12:00:00.000000z',
    '2026-02-01T11:59:00+23:59',
    '2026-01-31T12:00:00.0009999-00:00',
  ])('is read from %s', (text) => {
    expect(scalar('DateTime').parseValue(text)).toEqual(new Date(Date.UTC(2026, 0, 31, 12)));
  });

  test.each([
    '2026-01-31',
    '2026-01-31T12:00:00',
    '31 January 2026',
    '2026-01-31 12:00:00Z',
    '2026-02-31T25:00:00Z',
    '2026-02-30T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-31T24:00:00Z',
    '2026-01-31T24:60:00Z',
    '2026-01-31T12:60:00Z',
    '2026-01-31T12:00:61Z',
    '2026-01-31T12:00:00+24:00',
    '2026-01-31T12:00:00+01:60',
    '2026-01-31T12:00:00.Z',
    '+02026-01-31T12:00:00Z',
    '0000-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '2026-01-31T23:59:60Z',
    '2026-06-30T12:59:60Z',
    '2026-12-31T23:59:60+01:00',
    '9999-12-31T23:59:60Z',
    1_769_860_800_000,
    null,
  ])('is not read from %j', (value) => {
    expect(() => scalar('DateTime').parseValue(value)).toThrow('RFC 3339');
  });
});

describe('DateTime at the edges', () => {
  test.each([
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000Z'],
    ['0000-01-01T00:00:00Z', '0000-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
    ['2026-01-31T23:30:00-01:00', '2026-02-01T00:30:00.000Z'],
    // Leap seconds.
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
    ['2017-01-01T00:59:60.5+01:00', '2017-01-01T00:00:00.500Z'],
    ['2015-06-30t23:59:60z', '2015-07-01T00:00:00.000Z'],
  ])('reads %s as %s', (text, iso) => {
    expect(scalar('DateTime').serialize(scalar('DateTime').parseValue(text))).toBe(iso);
  });
});

describe('SafeInt', () => {
  test.each([0, -1, 5 * 1024 ** 3, Number.MAX_SAFE_INTEGER])('carries %d', (value) => {
    expect(scalar('SafeInt').serialize(value)).toBe(value);
    expect(scalar('SafeInt').parseValue(value)).toBe(value);
  });

  test.each([1.5, 2 ** 53, Number.NaN, '5', null])('does not carry %j', (value) => {
    expect(() => scalar('SafeInt').serialize(value)).toThrow('whole number');
    expect(() => scalar('SafeInt').parseValue(value)).toThrow('whole number');
  });
});

describe('URL', () => {
  test('takes an absolute address', () => {
    expect(scalar('URL').parseValue('https://example.com/a?b')).toBe('https://example.com/a?b');
    for (const value of ['/a', 'example.com', '', 5])
      expect(() => scalar('URL').parseValue(value)).toThrow('absolute');
  });
});

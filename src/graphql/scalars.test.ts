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

  test.each(['2026-01-31T12:00:00Z', '2026-01-31T13:00:00.000+01:00', '2026-01-31t12:00:00.000000z'])(
    'is read from %s',
    (text) => {
      expect(scalar('DateTime').parseValue(text)).toEqual(new Date(Date.UTC(2026, 0, 31, 12)));
    },
  );

  test.each([
    '2026-01-31',
    '2026-01-31T12:00:00',
    '31 January 2026',
    '2026-02-31T25:00:00Z',
    1_769_860_800_000,
    null,
  ])('is not read from %j', (value) => {
    expect(() => scalar('DateTime').parseValue(value)).toThrow('RFC 3339');
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

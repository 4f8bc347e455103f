import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import { timestampOr } from './timestamps.js';

const usual = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ) as (text: string) => unknown;
const parse = timestampOr(usual);

test('A timestamp in UTC is read as the driver reads it', () => {
  const days = {
    min: new Date('1000-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  };
  fc.assert(
    fc.property(fc.date(days), (date) => {
      // As Postgres writes it: without the zeros that end a fraction.
      const text = date.toISOString().replace('T', ' ').replace(/0*Z$/, '').replace(/\.$/, '');
      expect(parse(`${text}+00`)).toEqual(date);
      expect(usual(`${text}+00`)).toEqual(date);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  '2026-01-31 13:00:00.123+01',
  '2026-01-31 12:00:00.123456+00',
  '2026-01-31 17:30:00+05:30',
  '0044-03-15 12:00:00+00 BC',
  '0099-03-15 12:00:00+00',
  '12026-01-31 12:00:00+00',
  'infinity',
  '-infinity',
])('%s is left to the driver', (text) => {
  expect(parse(text)).toEqual(usual(text));
});

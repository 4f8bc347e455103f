import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import { isoOf, timestampOf } from './timestamps.js';

const usual = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ) as (text: string) => unknown;

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
      expect(timestampOf(`${text}+00`)).toEqual(date);
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
  expect(timestampOf(text)).toEqual(usual(text));
});

test('A date is written as JavaScript writes it, in whatever order they come', () => {
  fc.assert(
    fc.property(fc.array(fc.date({ noInvalidDate: true })), (dates) => {
      // Days that stand beside each other, too: the last millisecond of one and the first of the next.
      const near = dates.flatMap((date) =>
        [-1, 0, 1].map((ms) => new Date(Math.floor(date.getTime() / 864e5) * 864e5 + ms)),
      );
      for (const date of [...dates, ...near.filter((day) => !Number.isNaN(day.getTime()))])
        expect(isoOf(date)).toBe(date.toISOString());
    }),
    { numRuns: 500 },
  );
  expect(() => isoOf(new Date(NaN))).toThrow(RangeError);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergePages, type KeysetPage, type Slice } from './keyset.js';

/** What `readPage` answers for a list of numbers in order. */
function pageOf(list: readonly number[], { count, fromEnd, after, before }: Slice): KeysetPage<number> {
  const range = list.filter(
    (n) => (after === undefined || n > Number(after[0])) && (before === undefined || n < Number(before[0])),
  );
  const rows = fromEnd ? range.slice(Math.max(range.length - count, 0)) : range.slice(0, count);
  const place = fromEnd ? (before?.[0] ?? Infinity) : (after?.[0] ?? -Infinity);
  const [first, last] = [rows[0], rows.at(-1)];
  // Of an empty page: what lies on either side of where it was begun.
  return {
    rows,
    hasNext: () =>
      Promise.resolve(
        list.some((n) =>
          last === undefined ? (fromEnd ? n >= Number(place) : n > Number(place)) : n > last,
        ),
      ),
    hasPrevious: () =>
      Promise.resolve(
        list.some((n) =>
          first === undefined ? (fromEnd ? n < Number(place) : n <= Number(place)) : n < first,
        ),
      ),
  };
}

test('Two lists that are read side by side are read as one', async () => {
  const numbers = fc.uniqueArray(fc.nat({ max: 30 }), { maxLength: 14 });
  const place = fc.option(
    fc.nat({ max: 30 }).map((n) => [n]),
    { nil: undefined },
  );
  await fc.assert(
    fc.asyncProperty(
      numbers,
      fc.array(fc.boolean(), { minLength: 31, maxLength: 31 }),
      place,
      place,
      fc.nat({ max: 8 }),
      fc.boolean(),
      async (all, side, after, before, count, fromEnd) => {
        fc.pre(after === undefined || before === undefined || after[0]! < before[0]!);
        const slice: Slice = { count, fromEnd, after, before };
        const sorted = all.toSorted((a, b) => a - b);
        const halves = [true, false].map((which) => sorted.filter((n) => side[n] === which));
        const merged = mergePages(
          pageOf(halves[0]!, slice),
          pageOf(halves[1]!, slice),
          (a, b) => a - b,
          slice,
        );
        const expected = pageOf(sorted, slice);
        expect(merged.rows).toEqual(expected.rows);
        expect([await merged.hasNext(), await merged.hasPrevious()]).toEqual([
          await expected.hasNext(),
          await expected.hasPrevious(),
        ]);
      },
    ),
    { numRuns: 500 },
  );
});

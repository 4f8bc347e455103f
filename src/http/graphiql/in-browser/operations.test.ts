import { expect, test } from 'vitest';
import { cpuTime } from '../../../../test/support/work.js';
import { operationsOf } from './operations.js';

test('operations are told by type and name', () => {
  expect(operationsOf('query A { a } mutation B($x: I = {y: 1}) { b(x: $x) } subscription C { c }')).toEqual([
    { type: 'query', name: 'A' },
    { type: 'mutation', name: 'B' },
    { type: 'subscription', name: 'C' },
  ]);
});

test('an operation without a name has none', () => {
  expect(operationsOf('subscription { a }')).toEqual([{ type: 'subscription', name: undefined }]);
});

test('fields, comments and strings are no operations', () => {
  expect(
    operationsOf(`# subscription One
      query Two($s: String = "mutation Three { }") { subscription mutation(a: """query { " """) { query } }`),
  ).toEqual([{ type: 'query', name: 'Two' }]);
});

test.each(['"', '"\n', '"""', '"""" ', '#', '{', 'query ', '\\', '"\\'])(
  'a document of many %j is read at once',
  async (unit) => {
    const query = `"" ${unit.repeat(200_000 / unit.length)}`;
    expect(await cpuTime(() => operationsOf(query), 500)).toBeLessThan(500);
  },
);

test('the short form is none, and goes over HTTP', () => {
  expect(operationsOf('{ viewer { id } }')).toEqual([]);
});

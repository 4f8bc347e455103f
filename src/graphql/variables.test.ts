import {
  buildSchema,
  getVariableValues,
  parse,
  type GraphQLError,
  type OperationDefinitionNode,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { coerceVariables } from './variables.js';

const schema = buildSchema(`
  type Query { find(in: Place, all: [Place!], n: Int, deep: [[Int]]): Int }
  input Place { x: Int!, y: Int = 2, near: Place, more: [Place!] }
`);
const [operation] = parse(
  'query ($in: Place, $all: [Place!], $n: Int = 3, $deep: [[Int]]) { find(in: $in, all: $all, n: $n, deep: $deep) }',
).definitions as [OperationDefinitionNode];

const coerce = (values: Record<string, unknown>) => coerceVariables(schema, operation, values);
const messagesOf = ({ errors = [] }: { errors?: readonly GraphQLError[] }) =>
  errors.map(({ message }) => message);
const strange = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 1]));

describe('Variables', () => {
  test.each([
    {},
    { n: 1, in: { x: 1 } },
    { in: null, all: { x: 1 } },
    { in: { x: 1, near: { x: 2, y: null, more: [{ x: 3 }] } } },
    { n: '1' },
    { in: 5, all: 'no object', deep: { a: 1 } },
    { in: { x: 1, z: 2 } },
    { in: { x: 1, z: 2, near: {} }, n: [] },
    { all: [{ x: 1 }, { y: 1 }, null, []] },
    { deep: [[1], 2, ['3']] },
  ])('%j are what graphql-js makes of them', (values) => {
    const theirs = getVariableValues(schema, operation.variableDefinitions!, values);
    const ours = coerce(values);
    expect(ours.coerced).toEqual(theirs.coerced);
    expect(messagesOf(ours)).toEqual(messagesOf(theirs));
  });

  test.each([
    [{ in: strange(50_000) }, 'in', 50_000],
    [{ all: [{ x: 1 }, { x: 2, near: strange(50_000) }] }, 'all[1].near', 50_000],
    [{ all: strange(5) }, 'all', 5],
    [{ in: { x: 1, more: [strange(5)] } }, 'in.more[0]', 5],
  ])(
    'of which an object has more fields than its type are refused by one short error',
    (values, path, count) => {
      expect(messagesOf(coerce(values))).toEqual([
        `Variable "$${Object.keys(values)[0]!}" got invalid value with ${count} fields at "${path}"; Field "k0" is not defined by type "Place".`,
      ]);
    },
  );

  test('that are wrong in very many places are told of fifty', () => {
    expect(coerce({ all: Array.from({ length: 500 }, () => 1) }).errors).toHaveLength(51);
  });
});

import fc from 'fast-check';
import {
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
} from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { schema } from '../../src/schema.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';

/** What a client may send in place of anything. Undefined: nothing. */
const VALUES: readonly unknown[] = [
  ...[undefined, null, true, 0, 1, -1, 100, 101, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, 2 ** 53, 1e300, 0.5],
  ...['', 'x', '1', 'PUBLIC', 'room_x', '2026-01-31T00:00:00Z', 'x'.repeat(5000), '\u0000', '\ud800'],
  ...[[], [null], [[]], [1, 'x'], Array.from({ length: 300 }, () => 'x'), {}, { a: 1 }, { first: null }],
];
/** How it is given. */
const HOW = ['literal', 'variable', 'nullable variable', 'default', 'null over a default'] as const;

interface Place {
  readonly root: 'query' | 'mutation' | 'subscription';
  /** Fields from the root to the one that takes the argument, with what they need. */
  readonly path: readonly string[];
  readonly field: GraphQLField<unknown, unknown>;
  readonly argument: GraphQLArgument;
  /** Fields of its input object, from the outside in. */
  readonly inputs: readonly string[];
  /** Of what stands there. */
  readonly type: GraphQLInputType;
}

const fieldsOf = (type: GraphQLNamedType): GraphQLField<unknown, unknown>[] =>
  isObjectType(type) || isInterfaceType(type) ? Object.values(type.getFields()) : [];

/** A value that fits, as it is written. */
function sample(type: GraphQLInputType): string {
  const nullable = getNullableType(type);
  if (isListType(nullable)) return `[${sample(nullable.ofType)}]`;
  if (isEnumType(nullable)) return nullable.getValues()[0]?.name ?? '';
  if (isInputObjectType(nullable)) {
    const needed = Object.values(nullable.getFields()).filter(isRequiredInputField);
    return `{ ${needed.map((field) => `${field.name}: ${sample(field.type)}`).join(' ')} }`;
  }
  return (
    { Int: '1', SafeInt: '1', Boolean: 'true', DateTime: '"2026-01-31T00:00:00Z"' }[String(nullable)] ?? '"x"'
  );
}

const called = ({ name, args }: GraphQLField<unknown, unknown>, given: readonly string[] = []): string => {
  const needed = args
    .filter(
      (argument) => isRequiredArgument(argument) && !given.some((one) => one.startsWith(`${argument.name}:`)),
    )
    .map((argument) => `${argument.name}: ${sample(argument.type)}`);
  const all = [...given, ...needed];
  return all.length === 0 ? name : `${name}(${all.join(' ')})`;
};

/** Every argument of the schema, and every field of its input objects, each at one place where it can be given. */
function places(): Place[] {
  const found: Place[] = [];
  const seen = new Set<GraphQLNamedType>();
  const queue: { root: Place['root']; type: GraphQLNamedType; path: string[] }[] = [];
  const [query, mutation, subscription] = [
    schema.getQueryType(),
    schema.getMutationType(),
    schema.getSubscriptionType(),
  ];
  if (query) queue.push({ root: 'query', type: query, path: [] });
  if (mutation) queue.push({ root: 'mutation', type: mutation, path: [] });
  if (subscription) queue.push({ root: 'subscription', type: subscription, path: [] });
  for (const { root, type, path } of queue) {
    if (seen.has(type) || isIntrospectionType(type)) continue;
    seen.add(type);
    for (const field of fieldsOf(type)) {
      for (const argument of field.args) {
        const below = (inputs: string[], at: GraphQLInputType): void => {
          found.push({ root, path, field, argument, inputs, type: at });
          const named = getNamedType(at);
          if (isInputObjectType(named) && !isListType(getNullableType(at)))
            for (const one of Object.values(named.getFields())) below([...inputs, one.name], one.type);
        };
        below([], argument.type);
      }
      const next = getNamedType(field.type);
      queue.push({ root, type: next, path: [...path, called(field)] });
      if (isInterfaceType(next))
        for (const one of schema.getPossibleTypes(next))
          queue.push({ root, type: one, path: [...path, called(field), `... on ${one.name}`] });
    }
  }
  return found;
}

const literal = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(literal).join(' ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([name, one]) => `${name}: ${literal(one)}`)
      .join(' ')} }`;
  return JSON.stringify(value);
};

/** What is selected of an object: one field that needs nothing. */
function leaf(type: GraphQLNamedType): string {
  return isLeafType(type) ? '' : '{ __typename }';
}

/** Two nested lists of a hundred; deep, but not deeper than an operation may be. */
const dearRoom = `members(first: 100) { edges { node { room { members(first: 100) { edges { node { id role joinedAt } } } } } } }`;
const DEAR = {
  query: `dear: rooms(first: 100) { edges { node { ${dearRoom} } } }`,
  mutation: `dear: joinRoom(input: { roomId: "x" }) { member { room { ${dearRoom} } } }`,
  subscription: `... on RoomEvent { room { ${dearRoom} } } ... on TypingChanged { user { id } }`,
};

interface Asked {
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

/** An operation that gives `value` at a place; `beside` stands next to it. */
function operation(
  { root, path, field, argument, inputs, type }: Place,
  value: unknown,
  how: (typeof HOW)[number],
  beside: string,
): Asked {
  const declared = how === 'variable' || !isNonNullType(type) ? String(type) : String(type.ofType);
  const isDefault = how === 'default' || how === 'null over a default';
  const preset = isDefault
    ? ` = ${how === 'default' && value !== undefined ? literal(value) : sample(type)}`
    : '';
  const given = how === 'literal' ? (value === undefined ? undefined : literal(value)) : '$v';
  const inner = inputs.reduceRight<string | undefined>(
    (one, name) => (one === undefined ? '{}' : `{ ${name}: ${one} }`),
    given,
  );
  const called_ = called(field, inner === undefined ? [] : [`${argument.name}: ${inner}`]);
  const isRoot = path.length === 0;
  const selected = `${called_} ${root === 'subscription' && isRoot && beside !== '' ? `{ ${beside} }` : leaf(getNamedType(field.type))}`;
  const body = path.reduceRight((one, name) => `${name} { ${one} }`, selected);
  const head = how === 'literal' ? root : `${root} ($v: ${declared}${preset})`;
  const variables: Record<string, unknown> = {};
  if (how === 'null over a default') variables['v'] = null;
  else if (how !== 'literal' && how !== 'default' && value !== undefined) variables['v'] = value;
  return { query: `${head} { ${body} ${root === 'subscription' ? '' : beside} }`, variables };
}

const REFUSALS = ['GRAPHQL_VALIDATION_FAILED', 'GRAPHQL_PARSE_FAILED', 'BAD_USER_INPUT', 'QUERY_TOO_COMPLEX'];

describe('Whatever value an argument is given', { timeout: 120_000 }, () => {
  const all = places();
  let app: App;
  let user: Client;

  beforeAll(async () => {
    app = await startParley('embedded', { SIGN_IN_LIMIT_PER_ADDRESS: '100000' });
    user = await signUp(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  async function ask({ query, variables }: Asked) {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream;q=0.9',
        ...user.headers(),
      },
      body: JSON.stringify({ query, variables }),
    });
    const text = await response.text();
    const { data, errors = [] } = JSON.parse(/^data: (\{.*)$/m.exec(text)?.[1] ?? text) as {
      data?: unknown;
      errors?: { message: string; extensions: { code: string } }[];
    };
    return { data, errors, codes: errors.map(({ extensions }) => extensions.code) };
  }

  const anywhere = fc.constantFrom(...all);
  const anything = fc.constantFrom(...VALUES);
  const anyhow = fc.constantFrom(...HOW);

  test('there are many of them', () => {
    expect(all.length).toBeGreaterThan(80);
    expect(all.some(({ field, inputs }) => field.name === 'files' && inputs.includes('nameContains'))).toBe(
      true,
    );
  });

  test('nothing is executed unpriced: what is dear beside it is refused', async () => {
    await fc.assert(
      fc.asyncProperty(anywhere, anything, anyhow, async (place, value, how) => {
        const asked = operation(place, value, how, DEAR[place.root]);
        const { data, codes } = await ask(asked);
        expect(data ?? null, JSON.stringify(asked).slice(0, 500)).toBeNull();
        expect(codes.length).toBeGreaterThan(0);
        for (const code of codes) expect(REFUSALS, JSON.stringify(asked).slice(0, 500)).toContain(code);
      }),
      { numRuns: 250 },
    );
  });

  test('it is no defect of the server', async () => {
    await fc.assert(
      fc.asyncProperty(
        anywhere.filter(({ root }) => root !== 'subscription'),
        anything,
        anyhow,
        async (place, value, how) => {
          const asked = operation(place, value, how, '__typename');
          const { codes } = await ask(asked);
          expect(codes, JSON.stringify(asked).slice(0, 500)).not.toContain('INTERNAL_SERVER_ERROR');
        },
      ),
      { numRuns: 250 },
    );
  });

  test('one null does not switch the limit off', async () => {
    const query = `query ($r: ID!, $s: Int) { filePage(roomId: $r, size: $s) { total } ${DEAR.query} }`;
    const { data, errors } = await ask({ query, variables: { r: 'x', s: null } });
    expect(data).toBeUndefined();
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', field: 'size' } }]);
  });

  test.each([
    ['an item of a list', 'query ($id: ID = "x") { nodes(ids: [$id]) { id } %}', { id: null }, 'ids'],
    [
      'a field of an input object',
      'query ($f: FileOrderField = NAME) { files(orderBy: { field: $f }) { totalCount } %}',
      { f: null },
      'orderBy',
    ],
    [
      'a condition',
      'query ($yes: Boolean = true) { viewer { id @include(if: $yes) } %}',
      { yes: null },
      undefined,
    ],
  ])('nor does a null in %s', async (_what, query, variables, field) => {
    const { data, codes, errors } = await ask({ query: query.replace('%', DEAR.query), variables });
    expect(data).toBeUndefined();
    if (field === undefined) expect(codes).toEqual(['QUERY_TOO_COMPLEX']);
    else expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', field } }]);
    const alone = await ask({ query: query.replace('%', ''), variables });
    expect(alone.codes).toEqual(['BAD_USER_INPUT']);
  });
});

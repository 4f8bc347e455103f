import fc from 'fast-check';
import {
  buildSchema,
  execute,
  getOperationAST,
  GraphQLError,
  parse,
  validate,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLResolveInfo,
  type GraphQLSchema,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { coerceVariables } from '../graphql/variables.js';
import { executeOperation } from './execute.js';

const SDL = `
  type Query { item: Item  must: Item!  items: [Item]  all: [Item!]!  grid: [[Item]]  any: Any  named: [Named!]  greet(name: String = "you", at: Point): String }
  input Point { x: Int!, y: Int = 2 }
  enum Color { RED GREEN }
  interface Named { name: String }
  union Any = Item | Other
  type Item implements Named {
    id: ID!  name: String  count: Int!  ratio: Float  color: Color  wrongColor: Color  path: String!
    later: String!  nothing: String  nothingMust: String!  throws: String  throwsMust: String!  rejects: Int  rejectsMust: Int!
    error: String  getter: String!  method: String  text: Int  item: Item  items: [Item!]  any: Any!  named: Named  times(n: Int! = 2): [Int!]!
  }
  type Other implements Named { name: String  size: Int!  item: Item }
`;

interface Source {
  readonly kind: 'Item' | 'Other';
  readonly depth: number;
}

const make = (kind: Source['kind'], depth: number) => ({
  kind,
  depth,
  __typename: kind,
  name: `${kind} ${String(depth)}`,
  id: depth,
  count: depth,
  ratio: depth / 3,
  color: 'RED',
  wrongColor: 'BLUE',
  nothing: undefined,
  nothingMust: null,
  error: new Error('a value'),
  text: 'no number',
  size: 5,
  method: () => 'called',
  get getter(): string {
    if (depth === 3) throw new Error('a getter threw');
    return 'got';
  },
});

function testSchema(): GraphQLSchema {
  const schema = buildSchema(SDL);
  const types = schema.getTypeMap();
  const set = (
    type: string,
    resolvers: Record<
      string,
      (source: Source, args: never, ctx: unknown, info: GraphQLResolveInfo) => unknown
    >,
  ) => {
    const fields = (
      types[type] as unknown as { getFields(): Record<string, { resolve?: unknown }> }
    ).getFields();
    for (const [name, resolve] of Object.entries(resolvers)) fields[name]!.resolve = resolve;
  };
  const next = (source: Source | undefined, kind: Source['kind'] = 'Item') =>
    make(kind, (source?.depth ?? 0) + 1);
  set('Query', {
    item: (source) => Promise.resolve(next(source)),
    must: (source) => next(source),
    items: (source) => [next(source), null, Promise.resolve(next(source))],
    all: (source) => Promise.resolve([next(source), next(source)]),
    grid: (source) => [[next(source)], null, []],
    any: (source) => next(source, 'Other'),
    named: (source) => [next(source), next(source, 'Other')],
    greet: (_source, { name, at }: { name: string; at?: { x: number; y: number } }) =>
      `hello ${name} ${String(at?.x)} ${String(at?.y)}`,
  });
  const item = {
    path: (_s: Source, _a: unknown, _c: unknown, info: GraphQLResolveInfo) => {
      const keys = [];
      for (let at: GraphQLResolveInfo['path'] | undefined = info.path; at; at = at.prev)
        keys.push(at.key, at.typename);
      return `${info.fieldName} ${info.parentType.name} ${String(info.returnType)} ${keys.join()} ${String(info.fieldNodes.length)}`;
    },
    later: () => Promise.resolve('later'),
    throws: () => {
      throw new Error('thrown');
    },
    throwsMust: () => {
      throw new GraphQLError('thrown', { extensions: { code: 'X' } });
    },
    rejects: () => Promise.reject(new Error('rejected')),
    rejectsMust: () => Promise.reject(new Error('rejected')),
    item: (source: Source) => (source.depth > 3 ? null : Promise.resolve(next(source))),
    items: (source: Source) => new Set([next(source), next(source)]),
    any: (source: Source) => Promise.resolve(next(source, source.depth % 2 === 0 ? 'Item' : 'Other')),
    named: (source: Source) => next(source),
    times: (_s: Source, { n }: { n: number }) => Array.from({ length: n }, (_, i) => i),
  };
  set('Item', item);
  set('Other', { item: item.item });
  return schema;
}

const schema = testSchema();

const LEAVES = {
  Item: 'id name count ratio color path later nothing getter times __typename times(n:3) times(n:$n) wrongColor nothingMust throws throwsMust rejects rejectsMust error method text'.split(
    ' ',
  ),
  Other: ['name', 'size', '__typename'],
  Named: ['name', '__typename'],
  Any: ['__typename'],
  Query: ['__typename', 'greet', 'greet(name: $name)', 'greet(at: {x: $n})', 'greet(name: null)'],
};
const BRANCHES: Record<string, [string, keyof typeof LEAVES][]> = {
  Query: [
    ['item', 'Item'],
    ['must', 'Item'],
    ['items', 'Item'],
    ['all', 'Item'],
    ['grid', 'Item'],
    ['any', 'Any'],
    ['named', 'Named'],
  ],
  Item: [
    ['item', 'Item'],
    ['items', 'Item'],
    ['any', 'Any'],
    ['named', 'Named'],
  ],
  Other: [['item', 'Item']],
  Named: [],
  Any: [],
};
const CONDITIONS: Record<string, (keyof typeof LEAVES)[]> = {
  Any: ['Item', 'Other', 'Named', 'Any'],
  Named: ['Item', 'Other', 'Named'],
  Item: ['Item', 'Named'],
  Other: ['Other', 'Any'],
  Query: ['Query'],
};

/** A selection set of a type, by a stream of choices. Errors are rare, so that most answers are whole. */
function selection(choose: (below: number) => number, type: keyof typeof LEAVES, depth: number): string {
  const parts: string[] = [];
  const count = 1 + choose(4);
  for (let i = 0; i < count; i++) {
    const directive = [' @include(if: $yes)', ' @skip(if: $yes)', ' @skip(if: $no)'][choose(12)] ?? '';
    const kind = choose(10);
    const [branches, conditions] = [BRANCHES[type]!, CONDITIONS[type]!];
    if (kind < 5 || depth === 0) {
      const leaves = LEAVES[type];
      const safe = type === 'Item' && choose(8) > 0 ? 11 : leaves.length;
      const leaf = leaves[choose(safe)]!;
      const aliased = choose(6) === 0 || leaf.includes('(');
      parts.push(`${aliased ? `a${String(choose(1000))}: ` : ''}${leaf}${directive}`);
    } else if (kind < 8 && branches.length > 0) {
      const [field, below] = branches[choose(branches.length)]!;
      parts.push(`${field}${directive} ${selection(choose, below, depth - 1)}`);
    } else {
      const condition = conditions[choose(conditions.length)]!;
      parts.push(
        `...${choose(4) === 0 ? '' : ` on ${condition}`}${directive} ${selection(choose, choose(4) === 0 ? type : condition, depth - 1)}`,
      );
    }
  }
  return `{ ${parts.join(' ')} }`;
}

const plain = async (result: ExecutionResult | Promise<ExecutionResult>): Promise<string> => {
  const { data, errors } = await result;
  // Errors that happen beside each other may be told in either order.
  const told = errors
    ?.map((error) => JSON.stringify([error.message, error.path, error.locations, error.extensions]))
    .sort();
  return JSON.stringify({ data, errors: told });
};

/** As a transport has it executed. */
function run(args: ExecutionArgs): ReturnType<typeof executeOperation> {
  const operation = getOperationAST(args.document, args.operationName);
  if (operation == null) return executeOperation(args, {});
  const { coerced } = coerceVariables(args.schema, operation, args.variableValues);
  return coerced === undefined ? execute(args) : executeOperation(args, coerced);
}

/** What graphql-js answers, and what a query answers that comes for the eighth time. */
async function both(args: ExecutionArgs): Promise<[string, string]> {
  for (let i = 0; i < 7; i++) await run(args);
  return [await plain(execute(args)), await plain(run(args))];
}

describe('A query that comes again and again', () => {
  test('is answered as graphql-js answers it, whatever it selects', async () => {
    let [valid, whole] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat()), fc.boolean(), fc.boolean(), async (choices, yes, no) => {
        const choose = (below: number): number => choices.next().value! % below;
        const query = `query ($yes: Boolean!, $no: Boolean = false, $n: Int! = 1, $name: String) ${selection(choose, 'Query', 4)}`;
        const document = parse(query);
        // Fields in conflict, and variables that are not used, which is not of interest here.
        const wrong = validate(schema, document).filter(({ message }) => !message.includes('is never used'));
        if (wrong.length > 0) return;
        valid++;
        const variableValues = { yes, ...(no && { no }), name: 'Ada' };
        const [expected, answered] = await both({ schema, document, variableValues, contextValue: {} });
        if (!expected.includes('"errors"')) whole++;
        expect(answered, query).toBe(expected);
      }),
      { numRuns: 500 },
    );
    expect(valid).toBeGreaterThan(100);
    expect(whole).toBeGreaterThan(30);
  }, 60_000);

  test.each([
    ['a property that throws below a promise', '{ item { item { item { getter } } } }'],
    ['a variable that does not fit', 'query ($n: Int!) { item { times(n: $n) } }'],
    ['an argument that turns out wrong', 'query ($n: Int = 1) { item { times(n: $n) } }', { n: null }],
    ['introspection', '{ __schema { queryType { name } } __type(name: "Item") { name } }'],
    [
      'an alias that is no property',
      '{ item { __proto__: name constructor: name then: name } then: __typename }',
    ],
    [
      'a fragment that is spread twice',
      '{ item { ...F item { ...F } ...F } } fragment F on Item { id ... on Named { name } }',
    ],
    ['one field selected in parts', '{ all { item { id } } all { item { name } count } }'],
    [
      'more fields than a plan has',
      `{ must { ${Array.from({ length: 600 }, (_, i) => `f${String(i)}: name`).join(' ')} } }`,
    ],
    [
      'a variable of another operation',
      'query A { __typename } query B($no: Boolean!) { __typename @skip(if: $no) }',
      undefined,
      'A',
    ],
    ['no operation of that name', 'query A { __typename }', undefined, 'B'],
  ])(
    'is answered alike with %s',
    async (_what, query, variableValues?: Record<string, unknown>, operationName?: string) => {
      const document = parse(query);
      const args: ExecutionArgs = { schema, document, contextValue: {} };
      if (variableValues !== undefined) args.variableValues = variableValues;
      if (operationName !== undefined) args.operationName = operationName;
      const [expected, answered] = await both(args);
      expect(answered).toBe(expected);
    },
  );

  test('is planned anew where other parts of it are skipped', async () => {
    const document = parse('query ($a: Boolean!) { item { id @skip(if: $a) name @include(if: $a) } }');
    for (let i = 0; i < 10; i++) {
      const answer = await run({ schema, document, variableValues: { a: i % 2 === 0 } });
      expect(answer).toEqual({ data: { item: i % 2 === 0 ? { name: 'Item 1' } : { id: '1' } } });
    }
  });

  test('leaves no promise behind that rejects unheard', async () => {
    const document = parse('{ must { rejects throws later item { rejectsMust } } item { rejects } }');
    const unheard: unknown[] = [];
    const hear = (reason: unknown) => unheard.push(reason);
    process.on('unhandledRejection', hear);
    for (let i = 0; i < 20; i++) await run({ schema, document });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', hear);
    expect(unheard).toEqual([]);
  });
});

test('A mutation is executed once each time it comes, also where it fails', async () => {
  const counting = buildSchema('type Query { a: Int } type Mutation { add: Int  fail: Int }');
  let count = 0;
  const rootValue = {
    add: () => ++count,
    fail: () => {
      count++;
      throw new Error('failed');
    },
  };
  const document = parse('mutation { add fail }');
  for (let i = 1; i <= 10; i++) {
    await run({ schema: counting, document, rootValue });
    expect(count).toBe(2 * i);
  }
});

import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  Kind,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type ExecutionArgs,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import type { ParleyError } from '../errors.js';
import { limits, tooComplex } from './limits.js';

/** Costs that are remembered of one operation. */
const MAX_COSTS = 100;
/** Characters of the values that one is remembered by. */
const MAX_KEY = 100;

interface Costs {
  /** The variables that the cost depends on. */
  readonly variables: readonly string[];
  /** By their values. */
  readonly known: Map<string, number>;
}

const operations = new WeakMap<OperationDefinitionNode, Costs>();

/**
 * Says why `operation`, whose variables fit, is refused before anything of it is executed: it selects more than `limits.complexity`. Undefined
 * where it may run.
 */
export function tooCostly(args: ExecutionArgs, operation: OperationDefinitionNode): ParleyError | undefined {
  const cost = costOf(args, operation);
  if (cost === undefined || cost <= limits.complexity) return undefined;
  return tooComplex(`The operation costs ${String(cost)}, the limit is ${String(limits.complexity)}.`);
}

/** The same operation comes again and again, and what it costs hardly ever depends on its variables. */
function costOf(args: ExecutionArgs, operation: OperationDefinitionNode): number | undefined {
  let costs = operations.get(operation);
  if (costs === undefined) {
    costs = { variables: pricedBy(args.schema, args.document), known: new Map() };
    operations.set(operation, costs);
  }
  const { variables, known } = costs;
  // One that is not given has its default, which null has not.
  const key =
    variables.length === 0
      ? ''
      : JSON.stringify(
          variables.map((name) => args.variableValues?.[name] ?? [name in (args.variableValues ?? {})]),
        );
  const cost = known.get(key) ?? calculate(args, operation);
  if (cost === undefined || key.length > MAX_KEY) return cost;
  if (known.size >= MAX_COSTS) known.clear();
  known.set(key, cost);
  return cost;
}

function calculate(
  { schema, document, variableValues }: ExecutionArgs,
  operation: OperationDefinitionNode,
): number | undefined {
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION);
  try {
    return complexityFromQuery(
      { ...document, definitions: [operation, ...fragments] },
      { schema, variables: { ...variableValues } },
    ).complexity;
  } catch {
    return undefined;
  }
}

/** The variables in arguments of fields whose cost is a function of their arguments. */
function pricedBy(schema: GraphQLSchema, document: DocumentNode): string[] {
  const names = new Set<string>();
  const types = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(types, {
      Field: ({ arguments: given }) => {
        if (typeof types.getFieldDef()?.extensions['complexity'] !== 'function') return;
        for (const argument of given ?? [])
          visit(argument, { Variable: ({ name }) => void names.add(name.value) });
      },
    }),
  );
  return [...names];
}

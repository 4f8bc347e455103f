import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  getNamedType,
  isIntrospectionType,
  Kind,
  OperationTypeNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type ExecutionArgs,
  type FieldNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { introspectionCost, introspectionsOf } from './introspection.js';
import { limits, tooComplex } from './limits.js';

type Variables = Readonly<Record<string, unknown>>;

/** Costs that are remembered of one operation. */
const MAX_COSTS = 100;
/** Characters of the values that one is remembered by. */
const MAX_KEY = 100;

/** What is known of an operation before it is executed. */
interface Known {
  /** Its `__schema` and `__type`. */
  readonly introspections: readonly FieldNode[];
  /** The variables that the cost depends on. */
  readonly variables: readonly string[];
  /** Costs by their values. */
  readonly costs: Map<string, number>;
}

const operations = new WeakMap<OperationDefinitionNode, Known>();

/** Whether `operation` asks for the schema. */
export const introspects = (args: ExecutionArgs, operation: OperationDefinitionNode): boolean =>
  knownOf(args, operation).introspections.length > 0;

/**
 * Says why `operation` is refused before anything of it is executed: it costs more than it may, an argument does not fit, or its cost
 * cannot be calculated. Undefined where it may run. `variables` are those of `args`, coerced.
 */
export function costRefusal(
  args: ExecutionArgs,
  operation: OperationDefinitionNode,
  variables: Variables,
): Error | undefined {
  const [what, most] =
    operation.operation === OperationTypeNode.SUBSCRIPTION
      ? ['Each event of the subscription', limits.eventComplexity]
      : ['The operation', limits.complexity];
  try {
    const cost = costOf(args, operation, variables);
    if (cost <= most) return undefined;
    const told = Number.isFinite(cost) ? `${String(cost)}, the limit is` : 'more than';
    return tooComplex(`${what} costs ${told} ${String(most)}.`);
  } catch (error) {
    return error instanceof Error ? error : new Error('a cost could not be calculated', { cause: error });
  }
}

function knownOf({ schema, document }: ExecutionArgs, operation: OperationDefinitionNode): Known {
  let known = operations.get(operation);
  if (known === undefined) {
    known = {
      introspections: introspectionsOf(document, operation),
      variables: pricedBy(schema, document),
      costs: new Map(),
    };
    operations.set(operation, known);
  }
  return known;
}

/**
 * What an operation costs, a subscription an event. It is remembered: the same comes again and again, and hardly ever depends on its variables.
 * Throws GraphQLError for an argument that does not fit.
 */
export function costOf(args: ExecutionArgs, operation: OperationDefinitionNode, values: Variables): number {
  const { variables, costs, introspections } = knownOf(args, operation);
  // One that is not given has its default, which null has not.
  const key =
    variables.length === 0
      ? ''
      : JSON.stringify(
          variables.map((name) => args.variableValues?.[name] ?? [name in (args.variableValues ?? {})]),
        );
  const known = costs.get(key);
  if (known !== undefined) return known;
  const cost =
    calculate(args, operation) + introspectionCost(args, introspections, values, limits.complexity);
  // No comparison holds for what is no number.
  if (Number.isNaN(cost)) throw new Error('a cost is no number');
  if (key.length > MAX_KEY) return cost;
  if (costs.size >= MAX_COSTS) costs.clear();
  costs.set(key, cost);
  return cost;
}

function calculate(
  { schema, document, variableValues }: ExecutionArgs,
  operation: OperationDefinitionNode,
): number {
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION);
  return complexityFromQuery(
    { ...document, definitions: [operation, ...fragments] },
    { schema, variables: { ...variableValues } },
  ).complexity;
}

/** The variables in arguments of fields whose cost is a function of their arguments. */
function pricedBy(schema: GraphQLSchema, document: DocumentNode): string[] {
  const names = new Set<string>();
  const types = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(types, {
      Field: ({ arguments: given }) => {
        const field = types.getFieldDef();
        const isPriced =
          typeof field?.extensions['complexity'] === 'function' ||
          (field != null && isIntrospectionType(getNamedType(field.type)));
        if (!isPriced) return;
        for (const argument of given ?? [])
          visit(argument, { Variable: ({ name }) => void names.add(name.value) });
      },
    }),
  );
  return [...names];
}

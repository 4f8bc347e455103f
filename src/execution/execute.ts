import {
  execute,
  getOperationAST,
  OperationTypeNode,
  visit,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type OperationDefinitionNode,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { NotPlanned, planOf, type Plan, type Variables } from './plan.js';
import { runPlan } from './run.js';

/** Executions by graphql-js before an operation is worth a plan. */
const COLD = 3;
/** The same after its plan ran into an error: an operation that always does would cost twice. */
const COLD_AFTER_ERROR = 100;
/** Variants of one operation: what is skipped and included makes them differ. */
const MAX_VARIANTS = 8;
/** Plans in this process. */
const MAX_PLANS = 500;

/** What is known of an operation for as long as its document is kept. */
interface Known {
  /** How often graphql-js has yet to execute it. */
  cold: number;
  /** The variables that its directives ask. */
  readonly conditions: readonly string[];
  /** By the values of those. */
  readonly variants: Map<string, Variant>;
}

/** An operation for certain values of its conditions. */
interface Variant {
  /** Whether it is for graphql-js alone. */
  isUnplanned: boolean;
}

const operations = new WeakMap<OperationDefinitionNode, Known>();

/** Those that ran last. */
const plans = new LRUCache<Variant, Plan>({ max: MAX_PLANS });

/**
 * Executes an operation of a valid document as graphql-js does. A query that comes again and again is planned once, and runs by its
 * plan; where that meets an error, graphql-js executes the query once more and answers, so that every error is as it makes them. Mutations
 * are executed by graphql-js alone, once. `variables` are those of `args`, coerced.
 */
export function executeOperation(
  args: ExecutionArgs,
  variables: Variables,
): ExecutionResult | Promise<ExecutionResult> {
  const operation = getOperationAST(args.document, args.operationName);
  if (operation?.operation !== OperationTypeNode.QUERY) return execute(args);
  const known = knownOf(args.document, operation);
  if (known.cold > 0) {
    known.cold--;
    return execute(args);
  }
  const plan = planFor(known, args, operation, variables);
  if (plan === undefined) return execute(args);

  const again = (): ExecutionResult | Promise<ExecutionResult> => {
    known.cold = COLD_AFTER_ERROR;
    return execute(args);
  };
  try {
    const data = runPlan(plan, args.contextValue, args.rootValue, variables);
    return data instanceof Promise ? data.then(answer, again) : answer(data);
  } catch {
    return again();
  }
}

const answer = (data: unknown): ExecutionResult => ({ data }) as ExecutionResult;

function knownOf(document: DocumentNode, operation: OperationDefinitionNode): Known {
  let known = operations.get(operation);
  if (known === undefined) {
    known = { cold: COLD, conditions: conditionsOf(document), variants: new Map() };
    operations.set(operation, known);
  }
  return known;
}

/** Those of other operations in the document among them: they have no value. */
function conditionsOf(document: DocumentNode): string[] {
  const names = new Set<string>();
  visit(document, {
    Directive: (directive) => {
      visit(directive, { Variable: ({ name }) => void names.add(name.value) });
    },
  });
  return [...names];
}

function planFor(
  { conditions, variants }: Known,
  { schema, document }: ExecutionArgs,
  operation: OperationDefinitionNode,
  variables: Variables,
): Plan | undefined {
  const key = conditions.length === 0 ? '' : conditions.map((name) => String(variables[name])).join();
  let variant = variants.get(key);
  if (variant === undefined) {
    if (variants.size >= MAX_VARIANTS) return undefined;
    variant = { isUnplanned: false };
    variants.set(key, variant);
  }
  if (variant.isUnplanned) return undefined;
  let plan = plans.get(variant);
  if (plan === undefined) {
    plan = tryPlan(() => planOf(schema, document, operation, variables));
    if (plan === undefined) variant.isUnplanned = true;
    else plans.set(variant, plan);
  }
  return plan;
}

function tryPlan(plan: () => Plan): Plan | undefined {
  try {
    return plan();
  } catch (error) {
    if (error instanceof NotPlanned) return undefined;
    throw error;
  }
}

import {
  defaultTypeResolver,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  type FieldNode,
  type GraphQLAbstractType,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
} from 'graphql';
import type { FieldPlan, ObjectPlan, Planner } from './plan.js';
import { isPromise, Unusual, type Answer, type Key, type Run } from './run.js';

/**
 * Turns what a field resolved to into its part of the answer, `answer[key]`; at once, or when a promise below it is there. Throws
 * Unusual, or what a resolver threw, for anything that is an error.
 */
export type Complete = (run: Run, value: unknown, answer: Answer, key: Key, field: FieldPlan) => void;

/** CompleteValue of the specification, section 6.4.3, for one field; `nodes` are its selections. */
export function completionOf(
  type: GraphQLOutputType,
  nodes: readonly FieldNode[],
  planner: Planner,
): Complete {
  if (isNonNullType(type)) return nonNull(completionOf(type.ofType, nodes, planner));
  if (isListType(type)) return nullable(list(completionOf(type.ofType, nodes, planner)));
  if (isLeafType(type)) return nullable(leaf(type));
  if (isObjectType(type)) return nullable(object(type, planner.below(type, nodes)));
  return nullable(abstract(type, nodes, planner));
}

function nonNull(complete: Complete): Complete {
  return (run, value, answer, key, field) => {
    // Where this fails, the specification makes the next field above null: graphql-js does that.
    if (value == null) throw new Unusual();
    complete(run, value, answer, key, field);
  };
}

function nullable(complete: Complete): Complete {
  return (run, value, answer, key, field) => {
    if (value == null) answer[key] = null;
    else complete(run, value, answer, key, field);
  };
}

function leaf(type: GraphQLLeafType): Complete {
  return (_run, value, answer, key) => {
    const shown: unknown = type.serialize(value);
    if (shown == null) throw new Unusual();
    answer[key] = shown;
  };
}

function list(complete: Complete): Complete {
  return (run, value, answer, key, field) => {
    if (!Array.isArray(value)) throw new Unusual();
    const items: unknown[] = new Array(value.length);
    answer[key] = items;
    for (let i = 0; i < value.length; i++) run.put(value[i], complete, items as never, i, field);
  };
}

function object(type: GraphQLObjectType, plan: ObjectPlan): Complete {
  const { isTypeOf } = type;
  return (run, value, answer, key, field) => {
    // One that has to be asked for is rare, and the answer may be a promise.
    if (isTypeOf != null && isTypeOf(value, run.context, run.infoOf(field)) !== true) throw new Unusual();
    run.fill(plan, value, answer, key);
  };
}

function abstract(type: GraphQLAbstractType, nodes: readonly FieldNode[], planner: Planner): Complete {
  const plans = new Map<string, Complete>();
  const resolveType = type.resolveType ?? defaultTypeResolver;
  const completeAs = (name: unknown): Complete => {
    if (typeof name !== 'string') throw new Unusual();
    let complete = plans.get(name);
    if (complete === undefined) {
      const concrete = planner.schema.getType(name);
      if (!isObjectType(concrete) || !planner.schema.isSubType(type, concrete)) throw new Unusual();
      complete = object(concrete, planner.below(concrete, nodes));
      plans.set(name, complete);
    }
    return complete;
  };
  return (run, value, answer, key, field) => {
    const name = resolveType(value, run.context, run.infoOf(field), type);
    if (isPromise(name)) {
      run.wait(name, (known) => {
        completeAs(known)(run, value, answer, key, field);
      });
    } else completeAs(name)(run, value, answer, key, field);
  };
}

import {
  getArgumentValues,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import type { Complete } from './complete.js';
import type { FieldPlan, ObjectPlan, Plan, Resolver, Variables } from './plan.js';

/** Something that is an error in the answer, or that this executor does not do: graphql-js executes the operation instead. */
export class Unusual extends Error {}

export type Key = string | number;
/** The object or list that something is written to. */
export type Answer = Record<Key, unknown>;

/**
 * Executes a plan. Answers the data, or a promise of it; throws or rejects where the answer would have an error.
 * No promise is left to reject unheard.
 */
export function runPlan(plan: Plan, context: unknown, rootValue: unknown, variables: Variables): unknown {
  return new Run(plan, context, rootValue, variables).data();
}

/** One execution of a plan. */
export class Run {
  /** What is waited for. */
  private pending = 0;
  private resolve: ((data: unknown) => void) | undefined;
  private reject: ((reason: Error) => void) | undefined;
  /** Why it cannot answer. What it was is found out again by graphql-js. */
  private failure: Unusual | undefined;
  /** By the index of their field. */
  private readonly infos: FieldInfo[] = [];

  constructor(
    readonly plan: Plan,
    readonly context: unknown,
    readonly rootValue: unknown,
    readonly variables: Variables,
  ) {}

  data(): unknown {
    const data: Answer = { ...this.plan.root.blank };
    try {
      this.fields(this.plan.root, this.rootValue, data);
    } catch (error) {
      // What else was begun goes on no further.
      this.failure = new Unusual();
      throw error;
    }
    if (this.pending === 0) return data;
    return new Promise((resolve, reject) => {
      this.resolve = () => {
        resolve(data);
      };
      this.reject = reject;
      if (this.failure !== undefined) reject(this.failure);
    });
  }

  /** Makes `answer[key]` an object of what `plan` selects of `source`. */
  fill(plan: ObjectPlan, source: unknown, answer: Answer, key: Key): void {
    const object: Answer = { ...plan.blank };
    answer[key] = object;
    this.fields(plan, source, object);
  }

  /** Completes `value`, or an item of it, into `answer[key]`, once it is there. */
  put(value: unknown, complete: Complete, answer: Answer, key: Key, field: FieldPlan): void {
    if (isPromise(value)) {
      this.wait(value, (resolved) => {
        if (resolved instanceof Error) throw resolved;
        complete(this, resolved, answer, key, field);
      });
    } else if (value instanceof Error) throw value;
    else complete(this, value, answer, key, field);
  }

  /** What resolvers are told of a field: the same for all objects that have it. */
  infoOf(field: FieldPlan): GraphQLResolveInfo {
    return (this.infos[field.index] ??= new FieldInfo(this, field));
  }

  /** Goes on with `then` when `promise` is fulfilled; if either fails, so does the run. */
  wait(promise: PromiseLike<unknown>, then: (value: unknown) => void): void {
    this.pending++;
    promise.then(
      (value) => {
        if (this.failure !== undefined) return;
        try {
          then(value);
        } catch {
          this.fail();
          return;
        }
        if (--this.pending === 0) this.resolve?.(undefined);
      },
      () => {
        this.fail();
      },
    );
  }

  private fail(): void {
    this.failure ??= new Unusual();
    this.reject?.(this.failure);
  }

  private fields({ fields }: ObjectPlan, source: unknown, answer: Answer): void {
    for (const field of fields) {
      const { key, complete } = field;
      if (field.resolve === undefined) {
        const value = propertyOf(source, field);
        // Most of what is selected is text, which is its own answer.
        if (field.isText && typeof value === 'string') answer[key] = value;
        else this.put(value, complete, answer, key, field);
      } else this.put(this.resolved(field.resolve, field, source), complete, answer, key, field);
    }
  }

  private resolved(resolve: Resolver, field: FieldPlan, source: unknown): unknown {
    const { definition, nodes } = field;
    const args =
      definition.args.length === 0 ? NONE : getArgumentValues(definition, nodes[0], this.variables);
    return resolve(source, args, this.context, this.infoOf(field));
  }
}

/** The arguments of a field that takes none. */
const NONE: Readonly<Record<string, unknown>> = Object.freeze({});

function propertyOf(source: unknown, { definition }: FieldPlan): unknown {
  const property: unknown = (source as Readonly<Record<string, unknown>> | undefined)?.[definition.name];
  // graphql-js calls methods, with arguments that none of ours takes.
  if (typeof property === 'function') throw new Unusual();
  return property;
}

/** What resolvers are told of a field. It has no path, so that there is one for all objects: a query whose resolvers ask for it is graphql-js's. */
class FieldInfo implements GraphQLResolveInfo {
  constructor(
    private readonly run: Run,
    private readonly field: FieldPlan,
  ) {}

  get fieldName(): string {
    return this.field.definition.name;
  }
  get fieldNodes(): readonly FieldNode[] {
    return this.field.nodes;
  }
  get returnType(): GraphQLOutputType {
    return this.field.definition.type;
  }
  get parentType(): GraphQLObjectType {
    return this.field.parentType;
  }
  get path(): never {
    throw new Unusual();
  }
  get schema(): GraphQLSchema {
    return this.run.plan.schema;
  }
  get fragments(): Readonly<Record<string, FragmentDefinitionNode>> {
    return this.run.plan.fragments;
  }
  get rootValue(): unknown {
    return this.run.rootValue;
  }
  get operation(): OperationDefinitionNode {
    return this.run.plan.operation;
  }
  get variableValues(): Variables {
    return this.run.variables;
  }
}

export const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | null | undefined)?.then === 'function';

import {
  defaultFieldResolver,
  getDirectiveValues,
  getNullableType,
  GraphQLID,
  GraphQLIncludeDirective,
  GraphQLSkipDirective,
  GraphQLString,
  isAbstractType,
  Kind,
  TypeNameMetaFieldDef,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLFieldResolver,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type InlineFragmentNode,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { completionOf, type Complete } from './complete.js';

/** The values of an operation's variables, coerced. */
export type Variables = Readonly<Record<string, unknown>>;

/** An operation with all that it selects worked out, for as long as the same of it is skipped and included. */
export interface Plan {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  readonly fragments: Fragments;
  readonly root: ObjectPlan;
}

/** What is selected of objects of one type in one place. */
export interface ObjectPlan {
  readonly fields: readonly FieldPlan[];
  /** An answer in which nothing is filled in yet: to copy it costs less than to add one field after the other. */
  readonly blank: Readonly<Record<string, null>>;
}

export interface FieldPlan {
  /** Among all fields of its plan, from 0 on. */
  readonly index: number;
  /** Its name in the answer. */
  readonly key: string;
  readonly parentType: GraphQLObjectType;
  readonly definition: GraphQLField<unknown, unknown>;
  /** All selections that it answers. */
  readonly nodes: readonly [FieldNode, ...FieldNode[]];
  /** Undefined where it is a property of the object. */
  readonly resolve: Resolver | undefined;
  /** Whether a string is what it answers as it is. */
  readonly isText: boolean;
  readonly complete: Complete;
}

export type Resolver = GraphQLFieldResolver<unknown, unknown>;

type Fragments = Readonly<Record<string, FragmentDefinitionNode>>;

/** Fields of one plan: a short text can select very many by its fragments. Larger ones are for graphql-js. */
const MAX_FIELDS = 500;

/** Why an operation has no plan: graphql-js executes it. */
export class NotPlanned extends Error {}

/**
 * Works out what a valid operation selects, as sections 6.3.2 and 6.4.3 of the specification say, once instead of for each object.
 * `variables` decide what is skipped and included. Throws NotPlanned for introspection, which has no place here, and for what is too large.
 * https://spec.graphql.org/October2021/#sec-Executing-Selection-Sets
 */
export function planOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Variables,
): Plan {
  const fragments: Fragments = Object.fromEntries(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition]] : [],
    ),
  );
  const type = schema.getRootType(operation.operation);
  if (type == null) throw new NotPlanned();
  const planner = new Planner(schema, fragments, variables);
  return { schema, operation, fragments, root: planner.object(type, [operation.selectionSet]) };
}

const isText = (type: GraphQLOutputType): boolean =>
  getNullableType(type) === GraphQLString || getNullableType(type) === GraphQLID;

/** Plans the objects of one operation. */
export class Planner {
  private fields = 0;

  constructor(
    readonly schema: GraphQLSchema,
    private readonly fragments: Fragments,
    private readonly variables: Variables,
  ) {}

  /** What `nodes`, which are selections of one field, select of a value that is an object of `type`. */
  below(type: GraphQLObjectType, nodes: readonly FieldNode[]): ObjectPlan {
    return this.object(
      type,
      nodes.flatMap(({ selectionSet }) => selectionSet ?? []),
    );
  }

  object(type: GraphQLObjectType, sets: readonly SelectionSetNode[]): ObjectPlan {
    const grouped = new Map<string, [FieldNode, ...FieldNode[]]>();
    const seen = new Set<string>();
    for (const { selections } of sets) this.collect(type, selections, grouped, seen);
    const keys = [...grouped.keys()];
    // An object that has something written to this changes its prototype.
    if (keys.includes('__proto__')) throw new NotPlanned();
    return {
      fields: [...grouped].map(([key, nodes]) => this.field(type, key, nodes)),
      // What is parsed has room for these fields and no more, so that a copy is smaller by half.
      blank: JSON.parse(
        JSON.stringify(Object.fromEntries(keys.map((key) => [key, null]))),
      ) as ObjectPlan['blank'],
    };
  }

  private field(parentType: GraphQLObjectType, key: string, nodes: [FieldNode, ...FieldNode[]]): FieldPlan {
    const index = this.fields++;
    if (index >= MAX_FIELDS) throw new NotPlanned();
    const name = nodes[0].name.value;
    const definition = name === '__typename' ? TypeNameMetaFieldDef : parentType.getFields()[name];
    if (definition === undefined) throw new NotPlanned();
    const { resolve } = definition;
    return {
      index,
      key,
      parentType,
      definition,
      nodes,
      resolve: resolve === defaultFieldResolver ? undefined : resolve,
      isText: isText(definition.type),
      complete: completionOf(definition.type, nodes, this),
    };
  }

  /** CollectFields. */
  private collect(
    type: GraphQLObjectType,
    selections: readonly SelectionNode[],
    grouped: Map<string, [FieldNode, ...FieldNode[]]>,
    seen: Set<string>,
  ): void {
    for (const selection of selections) {
      if (!this.isIncluded(selection)) continue;
      if (selection.kind === Kind.FIELD) {
        const key = (selection.alias ?? selection.name).value;
        const nodes = grouped.get(key);
        if (nodes === undefined) grouped.set(key, [selection]);
        else nodes.push(selection);
      } else {
        const fragment =
          selection.kind === Kind.INLINE_FRAGMENT ? selection : this.spread(selection.name.value, seen);
        if (fragment !== undefined && this.applies(fragment, type))
          this.collect(type, fragment.selectionSet.selections, grouped, seen);
      }
    }
  }

  /** A fragment counts once in each selection set. */
  private spread(name: string, seen: Set<string>): FragmentDefinitionNode | undefined {
    if (seen.has(name)) return undefined;
    seen.add(name);
    return this.fragments[name];
  }

  private applies(
    { typeCondition }: FragmentDefinitionNode | InlineFragmentNode,
    type: GraphQLObjectType,
  ): boolean {
    if (typeCondition === undefined) return true;
    const condition = this.schema.getType(typeCondition.name.value);
    return condition === type || (isAbstractType(condition) && this.schema.isSubType(condition, type));
  }

  private isIncluded(selection: SelectionNode): boolean {
    if (selection.directives === undefined || selection.directives.length === 0) return true;
    const { variables } = this;
    const skip = getDirectiveValues(GraphQLSkipDirective, selection, variables);
    const include = getDirectiveValues(GraphQLIncludeDirective, selection, variables);
    return skip?.['if'] !== true && include?.['if'] !== false;
  }
}

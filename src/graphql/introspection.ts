import {
  getArgumentValues,
  getNamedType,
  isObjectType,
  Kind,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  type DocumentNode,
  type ExecutionArgs,
  type FieldNode,
  type GraphQLField,
  type GraphQLResolveInfo,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import type { Config } from '../config/config.js';
import { forbidden, unauthenticated, type ParleyError } from '../errors.js';

type Field = GraphQLField<unknown, unknown>;

const ROOTS: ReadonlyMap<string, Field> = new Map(
  [SchemaMetaFieldDef, TypeMetaFieldDef].map((field) => [field.name, field]),
);

/** The `__schema` and `__type` of an operation. They stand at the root alone, directly or in fragments. */
export const introspectionsOf = (document: DocumentNode, operation: OperationDefinitionNode): FieldNode[] =>
  fieldsOf(document, operation.selectionSet).filter(({ name }) => ROOTS.has(name.value));

/** Why someone may not see the schema; undefined where they may. `__typename` is no part of this. */
export function introspectionRefusal(
  setting: Config['introspection'],
  isSignedIn: boolean,
): ParleyError | undefined {
  if (setting === 'on' || (setting === 'signed-in' && isSignedIn)) return undefined;
  if (setting === 'signed-in') {
    return unauthenticated('This server shows its schema to those who are signed in: send an access token.');
  }
  return forbidden(
    'Introspection is off on this server: use schema/schema.graphql of its version, or have it set INTROSPECTION=on.',
  );
}

/**
 * How many fields the answer to `introspections` has; Infinity beyond `most`, where counting ends. The schema is there already, so
 * its real lists are counted. Throws GraphQLError for arguments that do not fit.
 */
export function introspectionCost(
  { schema, document }: Pick<ExecutionArgs, 'schema' | 'document'>,
  introspections: readonly FieldNode[],
  variables: Readonly<Record<string, unknown>>,
  most: number,
): number {
  const info = { schema } as GraphQLResolveInfo;
  const selected = new Map<SelectionSetNode, FieldNode[]>();
  let cost = 0;

  const add = (field: Field | undefined, source: unknown, node: FieldNode): void => {
    cost += 1;
    const set = node.selectionSet;
    if (cost > most || set === undefined || field === undefined) return;
    let nodes = selected.get(set);
    if (nodes === undefined) selected.set(set, (nodes = fieldsOf(document, set)));
    const fields = fieldsOfType(field);
    const value: unknown = field.resolve?.(
      source,
      getArgumentValues(field, node, variables),
      undefined,
      info,
    );
    for (const object of [value].flat()) {
      if (object == null) continue;
      for (const below of nodes) {
        add(fields[below.name.value], object, below);
        if (cost > most) return;
      }
    }
  };
  for (const node of introspections) add(ROOTS.get(node.name.value), undefined, node);
  return cost > most ? Infinity : cost;
}

function fieldsOfType(field: Field): Readonly<Record<string, Field>> {
  const type = getNamedType(field.type);
  return isObjectType(type) ? type.getFields() : {};
}

/** What a selection set selects, each fragment taken once. What is skipped or not included counts too. */
function fieldsOf(document: DocumentNode, set: SelectionSetNode): FieldNode[] {
  const seen = new Set<string>();
  const collect = ({ selections }: SelectionSetNode): FieldNode[] =>
    selections.flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return [selection];
      if (selection.kind === Kind.INLINE_FRAGMENT) return collect(selection.selectionSet);
      const { value } = selection.name;
      if (seen.has(value)) return [];
      seen.add(value);
      const fragment = document.definitions.find(
        (definition) => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === value,
      );
      return fragment?.kind === Kind.FRAGMENT_DEFINITION ? collect(fragment.selectionSet) : [];
    });
  return collect(set);
}

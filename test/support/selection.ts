import {
  getNamedType,
  isInterfaceType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  isUnionType,
  type GraphQLField,
  type GraphQLObjectType,
} from 'graphql';
import { schema } from '../../src/schema.js';

/** The fields of a type as the schema has them now, so that a test which asks for all of them learns of new ones. */
export function fieldsOf(typeName: string): GraphQLField<unknown, unknown>[] {
  const type = schema.getType(typeName);
  if (!isObjectType(type) && !isInterfaceType(type)) throw new Error(`${typeName} has no fields`);
  return Object.values(type.getFields());
}

/** The types that `node` can answer. */
export const nodeTypes = (): readonly GraphQLObjectType[] =>
  schema.getPossibleTypes(schema.getType('Node') as never);

/** Everything that a type answers without an argument, `depth` levels of objects below it, as a selection set. */
function everything(typeName: string, depth = 1): string {
  const type = schema.getType(typeName);
  // What only some kinds of node have is asked for where the kind is known: their fields of one name differ in type.
  if (isUnionType(type) || (isInterfaceType(type) && type.name !== 'Node')) {
    const kinds = schema
      .getPossibleTypes(type)
      .map(({ name }) => `... on ${name} ${everything(name, depth)}`);
    return `{ __typename ${kinds.join(' ')} }`;
  }
  const fields = fieldsOf(typeName).flatMap((field) => selectionOf(field, depth) ?? []);
  return `{ __typename ${fields.join(' ')} }`;
}

/** One field with everything below it; undefined where it cannot be asked for like this. */
export function selectionOf(field: GraphQLField<unknown, unknown>, depth = 1): string | undefined {
  if (field.args.some(isRequiredArgument)) return undefined;
  const type = getNamedType(field.type);
  if (isLeafType(type)) return field.name;
  return depth === 0 ? undefined : `${field.name} ${everything(type.name, depth - 1)}`;
}

/** A root field's own selection: everything that its type answers. */
export function selectionOfRoot(
  kind: 'Query' | 'Mutation' | 'Subscription',
  name: string,
  depth = 1,
): string {
  const field = fieldsOf(kind).find((one) => one.name === name);
  if (field === undefined) throw new Error(`${kind} has no field ${name}`);
  const type = getNamedType(field.type);
  return isLeafType(type) ? '' : everything(type.name, depth);
}

import { isObjectType, type GraphQLSchema } from 'graphql';
import { encodeId, type NodeTypeName } from './ids.js';

/** What a slice said of its type with `builder.node`, as Pothos keeps it. */
interface NodeOptions {
  readonly pothosOptions?: { readonly id?: { readonly resolve: (row: unknown) => string } };
}

/**
 * Lets ids be answered at once. Pothos resolves them by an async function, which makes a promise of each id, so of each row that
 * has one, so of each edge: a large part of what a page costs.
 */
export function withImmediateIds(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    const { pothosOptions } = type.extensions as NodeOptions;
    const field = isObjectType(type) ? type.getFields()['id'] : undefined;
    if (pothosOptions?.id === undefined || field === undefined) continue;
    const { resolve } = pothosOptions.id;
    const name = type.name as NodeTypeName;
    field.resolve = (row) => encodeId(name, resolve(row));
  }
  return schema;
}

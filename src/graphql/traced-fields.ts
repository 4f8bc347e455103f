import { defaultFieldResolver, type GraphQLFieldResolver, type GraphQLSchema } from 'graphql';
import { tracing } from '../observability/tracing.js';

const done = new WeakSet<GraphQLSchema>();

/** Lets each root field of the schema be resolved, or subscribed to, in a span. In place, and once: for the rest of the process. */
export function traceRootFields(schema: GraphQLSchema): void {
  if (done.has(schema)) return;
  done.add(schema);
  const inSpan =
    (name: string, resolve: GraphQLFieldResolver<unknown, unknown>): GraphQLFieldResolver<unknown, unknown> =>
    (...args) =>
      tracing === undefined ? resolve(...args) : tracing.span({ name }, () => resolve(...args));
  for (const type of [schema.getQueryType(), schema.getMutationType()]) {
    for (const field of Object.values(type?.getFields() ?? {}))
      field.resolve = inSpan(`resolve ${field.name}`, field.resolve ?? defaultFieldResolver);
  }
  for (const field of Object.values(schema.getSubscriptionType()?.getFields() ?? {})) {
    if (field.subscribe !== undefined) field.subscribe = inSpan(`subscribe ${field.name}`, field.subscribe);
  }
}

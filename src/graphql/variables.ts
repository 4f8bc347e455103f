import {
  getNullableType,
  getVariableValues,
  GraphQLError,
  isInputObjectType,
  isListType,
  typeFromAST,
  type GraphQLInputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { beginning } from '../text.js';

/** Errors of one request's variables, as many as graphql-js tells. */
const MAX_ERRORS = 50;

export type CoercedVariables = ReturnType<typeof getVariableValues>;

/**
 * The values of an operation's variables as its resolvers get them (section 6.1.2 of the specification), or why they do not fit, in the words
 * of graphql-js. Where an object has more fields than its type, one error says so: graphql-js describes the whole object for each field that it
 * does not know, which takes it minutes where there are some ten thousand.
 * With `hideSuggestions` errors name nothing of the schema that was not asked for.
 * https://spec.graphql.org/October2021/#sec-Coercing-Variable-Values
 */
export function coerceVariables(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  values: Readonly<Record<string, unknown>> | null | undefined,
  hideSuggestions = false,
): CoercedVariables {
  const { variableDefinitions = [] } = operation;
  if (variableDefinitions.length === 0) return { coerced: {} };
  for (const { variable, type } of variableDefinitions) {
    const name = variable.name.value;
    const declared = typeFromAST(schema, type) as GraphQLInputType | undefined;
    const unknown = declared && unknownField(declared, values?.[name], name);
    if (unknown !== undefined)
      return {
        errors: [new GraphQLError(`Variable "$${name}" got invalid value ${unknown}`, { nodes: [variable] })],
      };
  }
  return getVariableValues(schema, variableDefinitions, values ?? {}, {
    maxErrors: MAX_ERRORS,
    hideSuggestions,
  });
}

/** Of the first object at `path` or below it that has more fields than its type. */
function unknownField(type: GraphQLInputType, value: unknown, path: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const nullable = getNullableType(type);
  if (isListType(nullable)) {
    if (!Array.isArray(value)) return unknownField(nullable.ofType, value, path);
    return first(value.entries(), ([i, item]) =>
      unknownField(nullable.ofType, item, `${path}[${String(i)}]`),
    );
  }
  if (!isInputObjectType(nullable) || Array.isArray(value)) return undefined;
  const fields = nullable.getFields();
  const keys = Object.keys(value);
  if (keys.length > Object.keys(fields).length) {
    const key = keys.find((one) => !(one in fields)) ?? '';
    return `with ${String(keys.length)} fields at "${path}"; Field "${beginning(key, 100)}" is not defined by type "${nullable.name}".`;
  }
  return first(Object.values(fields), ({ name, type }) =>
    unknownField(type, (value as Record<string, unknown>)[name], `${path}.${name}`),
  );
}

function first<T, Found>(all: Iterable<T>, find: (one: T) => Found | undefined): Found | undefined {
  for (const one of all) {
    const found = find(one);
    if (found !== undefined) return found;
  }
  return undefined;
}

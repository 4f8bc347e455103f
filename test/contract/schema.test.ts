import { readdir, readFile } from 'node:fs/promises';
import {
  buildSchema,
  findBreakingChanges,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
  isUnionType,
  Kind,
  parse,
  printSchema,
  validate,
  type GraphQLArgument,
  type GraphQLNamedType,
  type GraphQLSchema,
} from 'graphql';
import { beforeAll, describe, expect, test } from 'vitest';
import { schema as served } from '../../src/schema.js';

const here = new URL('.', import.meta.url);
const examples = new URL('../../schema/examples/', here);

describe('the schema', () => {
  let contract: GraphQLSchema;
  // As clients get it: what a printed schema loses, they never had.
  const schema = buildSchema(printSchema(served));

  beforeAll(async () => {
    contract = buildSchema(await readFile(new URL('api-core.graphql', here), 'utf8'));
  });

  test('keeps every type of the contract, of the same kind', () => {
    const kinds = ownTypes(contract).map((type) => [type.name, type.constructor.name]);
    expect(kinds.map(([name]) => [name, schema.getType(name!)?.constructor.name])).toEqual(kinds);
  });

  test('breaks no client of the contract', () => {
    expect(findBreakingChanges(contract, schema)).toEqual([]);
  });

  test('has every field, argument, value and member of the contract, with its type, nullability and default', () => {
    const promised = ownTypes(contract).flatMap(partsOf);
    expect(promised.length).toBeGreaterThan(300);
    const kept = new Set(ownTypes(schema).flatMap(partsOf));
    expect(promised.filter((part) => !kept.has(part))).toEqual([]);
  });

  test('describes every element', () => {
    const bare = ownTypes(schema).flatMap((type) => [
      ...(type.description ? [] : [type.name]),
      ...elementsOf(type)
        .filter(({ element }) => !element.description)
        .map(({ path }) => path),
    ]);
    expect(bare).toEqual([]);
  });

  test('fits the examples, whose operations have names of their own', async () => {
    const names = (await readdir(examples)).filter((name) => name.endsWith('.graphql'));
    const operations: string[] = [];
    for (const name of names) {
      const document = parse(await readFile(new URL(name, examples), 'utf8'));
      expect(validate(schema, document), name).toEqual([]);
      for (const definition of document.definitions)
        if (definition.kind === Kind.OPERATION_DEFINITION) operations.push(String(definition.name?.value));
    }
    expect(operations.length).toBeGreaterThan(0);
    expect(new Set(operations).size).toBe(operations.length);
  });
});

const ownTypes = (schema: GraphQLSchema): GraphQLNamedType[] =>
  Object.values(schema.getTypeMap()).filter(
    (type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type),
  );

interface Element {
  readonly path: string;
  readonly element: { readonly description?: string | null | undefined };
  /** Everything about it that clients rely on. */
  readonly text: string;
}

/** Fields, arguments, input fields and enum values. */
function elementsOf(type: GraphQLNamedType): Element[] {
  if (isEnumType(type)) {
    return type.getValues().map((value) => element('value', `${type.name}.${value.name}`, value));
  }
  if (isInputObjectType(type)) {
    return Object.values(type.getFields()).map((field) =>
      argument('input field', `${type.name}.${field.name}`, field),
    );
  }
  if (isObjectType(type) || isInterfaceType(type)) {
    return Object.values(type.getFields()).flatMap((field) => {
      const path = `${type.name}.${field.name}`;
      return [
        element('field', path, field, `: ${String(field.type)}`),
        ...field.args.map((arg) => argument('argument', `${path}(${arg.name}:)`, arg)),
      ];
    });
  }
  return [];
}

const element = (kind: string, path: string, of: Element['element'], rest = ''): Element => ({
  path,
  element: of,
  text: `${kind} ${path}${rest}`,
});

const argument = (
  kind: string,
  path: string,
  arg: Pick<GraphQLArgument, 'type' | 'defaultValue' | 'description'>,
): Element =>
  element(
    kind,
    path,
    arg,
    `: ${String(arg.type)}${arg.defaultValue === undefined ? '' : ` = ${JSON.stringify(arg.defaultValue)}`}`,
  );

function partsOf(type: GraphQLNamedType): string[] {
  const parts = elementsOf(type).map(({ text }) => text);
  if (isUnionType(type)) parts.push(...type.getTypes().map(({ name }) => `member ${type.name} | ${name}`));
  if (isObjectType(type) || isInterfaceType(type))
    parts.push(...type.getInterfaces().map(({ name }) => `${type.name} implements ${name}`));
  if (isScalarType(type)) parts.push(`scalar ${type.name}`);
  return parts;
}

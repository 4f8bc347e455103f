import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kind, parse } from 'graphql';
import { packageDirectory } from '../../package-directory.js';

/** A document that GraphiQL opens as a tab. */
export interface Example {
  /** The operation's name, which is also the tab's. */
  readonly name: string;
  readonly query: string;
  /** JSON text; empty where the operation takes none. */
  readonly variables: string;
  /** The root fields that it asks for. */
  readonly fields: readonly string[];
}

/** `schema/examples` of this package. */
export const examplesDirectory = (): string => join(packageDirectory(), 'schema', 'examples');

/** `1-sign-up.graphql` and, beside it, `1-sign-up.variables.json`; in the order of their numbers. */
export async function readExamples(directory: string): Promise<Example[]> {
  const files = await readdir(directory);
  const documents = files
    .filter((file) => file.endsWith('.graphql'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return Promise.all(
    documents.map(async (file) => {
      const variablesFile = file.replace(/\.graphql$/, '.variables.json');
      const query = await readFile(join(directory, file), 'utf8');
      const variables = files.includes(variablesFile)
        ? await readFile(join(directory, variablesFile), 'utf8')
        : '';
      return { ...describe(query, file), query: query.trimEnd(), variables: variables.trimEnd() };
    }),
  );
}

function describe(query: string, file: string): Pick<Example, 'name' | 'fields'> {
  const [operation, another] = parse(query, { noLocation: true }).definitions.filter(
    (definition) => definition.kind === Kind.OPERATION_DEFINITION,
  );
  if (operation?.name === undefined || another !== undefined)
    throw new Error(`${file}: an example holds one operation, and the operation has a name.`);
  const fields = operation.selectionSet.selections.map((field) =>
    field.kind === Kind.FIELD ? (field.alias ?? field.name).value : '',
  );
  return { name: operation.name.value, fields };
}

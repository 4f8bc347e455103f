import { readFile, writeFile } from 'node:fs/promises';
import { printSchema } from 'graphql';
import { schema } from './schema.js';

/** Writes schema/schema.graphql, which is what the API promises; with `--check` fails when that is stale. */
const path = new URL('../schema/schema.graphql', import.meta.url);
const printed = `${printSchema(schema)}\n`;
if (!process.argv.includes('--check')) {
  await writeFile(path, printed);
} else if ((await readFile(path, 'utf8')) !== printed) {
  process.stderr.write('schema/schema.graphql is stale: run `npm run schema` and look at what changed\n');
  process.exit(1);
}

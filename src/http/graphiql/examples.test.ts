import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { examplesDirectory, readExamples } from './examples.js';

async function withFiles(files: Record<string, string>): Promise<ReturnType<typeof readExamples>> {
  const directory = await mkdtemp(join(tmpdir(), 'examples-'));
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
    return await readExamples(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test('examples come in the order of their numbers, each with its variables', async () => {
  const examples = await withFiles({
    '10-last.graphql': 'query Last { a b: c }',
    '2-first.graphql': 'mutation First($x: Int) { first(x: $x) }\n',
    '2-first.variables.json': '{ "x": 1 }\n',
    'notes.txt': 'not one',
  });
  expect(examples).toEqual([
    {
      name: 'First',
      query: 'mutation First($x: Int) { first(x: $x) }',
      variables: '{ "x": 1 }',
      fields: ['first'],
    },
    { name: 'Last', query: 'query Last { a b: c }', variables: '', fields: ['a', 'b'] },
  ]);
});

test('an example holds one operation with a name', async () => {
  await expect(withFiles({ '1.graphql': '{ a }' })).rejects.toThrow('1.graphql');
  await expect(withFiles({ '1.graphql': 'query A { a } query B { b }' })).rejects.toThrow('1.graphql');
});

test('run from top to bottom, each of our examples finds its placeholders answered by one above it', async () => {
  const answered = new Set(['random']);
  for (const { name, variables, fields } of await readExamples(examplesDirectory())) {
    expect(() => void JSON.parse(variables), name).not.toThrow();
    for (const [, field = ''] of variables.matchAll(/\{\{\s*(\w+)/g)) expect(answered, name).toContain(field);
    for (const field of fields) answered.add(field);
  }
});

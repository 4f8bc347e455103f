import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string): Promise<string> => readFile(new URL(path, root), 'utf8');

/** A code block of the README under `<!-- recipe: path -->`. */
const QUOTE = /<!-- recipe: (\S+) -->\n+```\w+\n(.*?)```/gs;

describe('the recipes of the README', async () => {
  const quotes = new Map(
    [...(await read('README.md')).matchAll(QUOTE)].map(([, path = '', code = '']) => [path, code]),
  );
  const files = await readdir(new URL('test/contract/recipes/', root));
  const recipes = files
    .filter((name) => /^\w+\.ts$/.test(name))
    .map((name) => `test/contract/recipes/${name}`);

  test('are there, each of them', () => {
    expect(recipes.length).toBeGreaterThan(1);
    expect([...quotes.keys()]).toEqual(expect.arrayContaining(recipes));
  });

  test.each([...quotes])('say what the tests run: %s', async (path, code) => {
    expect(code).toBe(await read(path));
  });
});

import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { schema } from '../../src/config/variables.js';
import { limits } from '../../src/graphql/limits.js';

const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');

const section = (name: string): string => readme.split(new RegExp(`^<!-- /?${name} -->$`, 'm'))[1] ?? '';

/** The first two cells of each row whose first cell is a name. */
const rowsOf = (name: string): (readonly [name: string, value: string])[] =>
  [...section(name).matchAll(/^\| `(\w+)` *\| *(.*?) *\|/gm)].map(([, key = '', value = '']) => [key, value]);

describe('the configuration table in the README', () => {
  const rows = rowsOf('configuration');
  const defaults = schema.parse({});

  test('has every variable once, and no other', () => {
    expect(rows.map(([name]) => name)).toEqual(Object.keys(schema.shape));
  });

  test.each(rows)('tells the default of %s', (name, told) => {
    const known = defaults[name as keyof typeof defaults];
    if (told === 'none') expect(known ?? []).toEqual([]);
    else if (told === 'the list below') expect(listed()).toEqual(known);
    else expect(schema.parse({ [name]: /^`(.+)`$/.exec(told)?.[1] })).toEqual(defaults);
  });

  const listed = (): string[] =>
    (/^```text\n(.*?)^```$/ms.exec(section('configuration'))?.[1] ?? '').trim().split(/\s+/);
});

describe('the limits table in the README', () => {
  test('says what the code holds to', () => {
    const rows = rowsOf('limits').map(([name, value]) => [name, Number(value.replaceAll(',', ''))]);
    expect(Object.fromEntries(rows)).toEqual(limits);
  });
});

describe('the recipes in the README', () => {
  const recipes = [...readme.matchAll(/^<!-- recipe: (\S+) -->\n+```ts\n(.*?)^```$/gms)];

  test('are there for the types, Apollo Client, urql, Relay and tus', () => {
    expect(recipes.map(([, path]) => path)).toEqual([
      'test/contract/recipes/codegen.ts',
      'test/contract/recipes/apollo.ts',
      'test/contract/recipes/urql.ts',
      'test/contract/recipes/relay.ts',
      'test/contract/recipes/tus.ts',
    ]);
  });

  test.each(recipes.map(([, path = '', text = '']) => [path, text] as const))(
    'are the code that is tested: %s',
    async (path, text) => {
      expect(text).toBe(await readFile(new URL(`../../${path}`, import.meta.url), 'utf8'));
    },
  );
});

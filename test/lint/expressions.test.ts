import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, test } from 'vitest';

const eslint = new ESLint({
  overrideConfig: [
    tseslint.configs.disableTypeChecked,
    { languageOptions: { parserOptions: { projectService: false } } },
  ],
  ruleFilter: ({ ruleId }) => ruleId === 'redos/no-vulnerable' || ruleId === 'no-restricted-globals',
});

async function brokenBy(filePath: string, code: string): Promise<unknown[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return (result?.messages ?? []).map(({ ruleId, message }) => `${ruleId ?? ''} ${message}`);
}

describe('The linter refuses', () => {
  test.each([
    ['an expression that takes exponential time', 'export const x = /^(a+)+$/;'],
    ['one that tries each character of a run as its end', String.raw`export const x = /[\s.]+$/u;`],
    ['one that tries each beginning in a run', String.raw`export const x = /eyJ[\w-]+\.[\w-]+/g;`],
    ['one that looks back through a run', String.raw`export const x = /(?<=[=,]\s*)-(\d+)/g;`],
    ['one whose neighbours can share a run', String.raw`export const x = /^<!doctype\b[^>[]*\s*>/i;`],
    ['one that is made of texts', 'export const x = new RegExp(`a${String(1)}`);'],
  ])('in src/: %s', async (_what, code) => {
    expect(await brokenBy('src/http/a.ts', code)).toHaveLength(1);
    expect(await brokenBy('client/a.ts', code)).toHaveLength(1);
  });
});

test.each([/(?<![\s.])[\s.]+$/u, /^Bearer +(\S+)$/i, /eyJ[\w-]+(\.[\w-]+\.[\w-]+)?/g, /\.(\w+)$/])(
  'The linter lets an expression pass that takes time in proportion to the text: %s',
  async (expression) => {
    expect(await brokenBy('src/http/a.ts', `export const x = ${String(expression)};`)).toEqual([]);
  },
);

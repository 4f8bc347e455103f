import js from '@eslint/js';
// @ts-expect-error -- it comes without types
import redos from 'eslint-plugin-redos';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { house } from './eslint/plugin.js';

/**
 * Where values come in without a type, and what holds them is what is said about them next: a server's answer in the
 * expectations of a test, a syntax tree in a rule.
 * @type {import('eslint').Linter.RulesRecord}
 */
const untyped = {
  '@typescript-eslint/no-explicit-any': 'off',
  '@typescript-eslint/no-unsafe-argument': 'off',
  '@typescript-eslint/no-unsafe-assignment': 'off',
  '@typescript-eslint/no-unsafe-call': 'off',
  '@typescript-eslint/no-unsafe-member-access': 'off',
  '@typescript-eslint/no-unsafe-return': 'off',
};

/** What Node has without an import, as far as the bench uses it. */
const NODE_GLOBALS = Object.fromEntries(
  [
    'Buffer',
    'clearTimeout',
    'console',
    'fetch',
    'performance',
    'process',
    'queueMicrotask',
    'setTimeout',
    'URL',
  ].map((name) => [name, 'readonly']),
);

export default defineConfig(
  {
    ignores: [
      'dist/',
      'dist.*/',
      'data/',
      'coverage/',
      'test/contract/generated/',
      'client/possible-types.ts',
      '**/__generated__/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },

  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  { languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } } },
  {
    rules: {
      // `== null` asks for null and undefined at once, as GraphQL's optional input has both.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'object-shorthand': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      // A value that is not awaited, or dropped with `void` to say so, is a bug that no test sees.
      '@typescript-eslint/no-floating-promises': ['error', { ignoreVoid: true }],

      // Numbers read well in a template, and in no surprising way.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => socket.close()` says what is meant; braces around it say nothing more.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // `while (true)` is how a loop with its exits inside is written.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      // `async` also turns a throw into a rejection, which is why a function without an `await` may want it.
      '@typescript-eslint/require-await': 'off',
      // The compiler knows, in JavaScript too.
      'no-undef': 'off',
      'prefer-const': ['error', { destructuring: 'all' }],
      // The same as the compiler's noUnusedLocals and noUnusedParameters, and it can say `_this is deliberate`.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none', ignoreRestSiblings: true },
      ],
    },
  },

  // What the server says, it says to its logger.
  { files: ['src/**'], rules: { 'no-console': 'error' } },

  // Texts of clients and of other servers meet these: each must take time in proportion to the text, and be there to be checked.
  {
    files: ['src/**', 'client/**', 'migrations/**'],
    ignores: ['**/*.test.ts'],
    plugins: { redos },
    rules: {
      'redos/no-vulnerable': [
        'error',
        // A busy machine is no reason to call an expression slow: its steps are counted, not its time.
        { ignoreErrors: false, timeout: 30_000, attackTimeout: null, incubationTimeout: null },
      ],
      'no-restricted-globals': [
        'error',
        { name: 'RegExp', message: 'Write the expression as a literal, so that its cost is checked.' },
      ],
    },
  },

  // The directions of the house: eslint/house.js has the table.
  {
    files: ['src/**', 'migrations/**', 'web/**'],
    plugins: { house },
    rules: { 'house/imports': 'error', 'house/queries': 'error', 'house/policies': 'error' },
  },
  {
    files: ['src/**'],
    ignores: ['src/config/**', 'src/**/*.test.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { property: 'env', message: 'The environment is read once, in src/config.' },
      ],
    },
  },

  {
    files: ['test/**', '**/*.test.ts'],
    rules: {
      // A test that finds nothing there fails all the same, and says where.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Matchers are handed methods as values: expect(log.warn).toHaveBeenCalled().
      '@typescript-eslint/unbound-method': 'off',
      ...untyped,
    },
  },
  { files: ['eslint/**', 'eslint.config.js'], rules: untyped },

  // The bench has packages of its own, which are not installed with ours: the compiler leaves it out, and without types somebody
  // else has to know what is defined.
  {
    files: ['bench/**'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: NODE_GLOBALS },
    rules: { 'no-undef': 'error' },
  },
);

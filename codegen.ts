import type { CodegenConfig } from '@graphql-codegen/cli';

/**
 * What is made from the printed schema. `npm run codegen` writes it, `npm run codegen:check` fails when what is
 * committed is stale.
 */
const config: CodegenConfig = {
  schema: 'schema/schema.graphql',
  documents: ['schema/examples/*.graphql', 'test/contract/operations/*.graphql'],
  importExtension: '.js',
  generates: {
    /** Typed operations for tests and examples. */
    'test/contract/generated/': {
      preset: 'client',
      // Masked fragments guard components from each other; a test wants to see what it asked for.
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        // Every scalar is named here, so a new one is a decision and not an `any`.
        strictScalars: true,
        scalars: {
          ID: 'string',
          DateTime: 'string',
          SafeInt: 'number',
          Upload: 'File | Blob',
          URL: 'string',
        },
      },
    },
    /** For front ends: a client's cache must be told what an interface or union may turn out to be. */
    'client/possible-types.ts': { plugins: ['fragment-matcher'] },
  },
};

export default config;

import type { CodegenConfig } from '@graphql-codegen/cli';

/** `codegen.ts` of a front end: makes `src/generated/graphql.ts` of the operations in `src`. */
const config: CodegenConfig = {
  schema: 'node_modules/parley/schema/schema.graphql',
  documents: 'src/**/*.graphql',
  importExtension: '.js',
  generates: {
    'src/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        scalars: { DateTime: 'string', SafeInt: 'number', Upload: 'File | Blob', URL: 'string' },
      },
    },
  },
};

export default config;

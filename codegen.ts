import type { CodegenConfig } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

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
      // What caches add to a document is to be in the one that is listed.
      documentTransforms: [addTypenameSelectionDocumentTransform],
      // Masked fragments guard components from each other; a test wants to see what it asked for.
      // The list that a server may be given to execute nothing else (PERSISTED_ONLY).
      presetConfig: { fragmentMasking: false, persistedDocuments: { hashAlgorithm: 'sha256' } },
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

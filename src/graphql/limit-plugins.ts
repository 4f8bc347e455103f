import { maxAliasesPlugin } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth';
import { maxDirectivesPlugin } from '@escape.tech/graphql-armor-max-directives';
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens';
import { GraphQLError, type DocumentNode } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { limits, tooComplex } from './limits.js';
import { mergeCost } from './merge-cost.js';
import { useLongDocuments } from './long-documents.js';

const refuse = (what: string) => ({
  onReject: [
    (): void => {
      throw tooComplex(what);
    },
  ],
});

/** Before validation, whose work it limits. */
const mergeCostPlugin = (): Plugin => ({
  onValidate({ params: { documentAST }, setResult }) {
    if (mergeCost(documentAST as DocumentNode, limits.mergeCost) > limits.mergeCost)
      setResult([
        refusal('The document repeats too many fields, or has too many fragments within fragments.'),
      ]);
  },
});

const refusal = (what: string): GraphQLError => {
  const error = tooComplex(what);
  return new GraphQLError(error.message, { originalError: error });
};

/** Refuses documents beyond the limits with QUERY_TOO_COMPLEX, at parsing and validation, on every transport. */
export const limitPlugins = (): Plugin[] => [
  maxTokensPlugin({
    n: limits.tokens,
    ...refuse(`The document has more than ${String(limits.tokens)} tokens.`),
  }),
  useLongDocuments(),
  maxDepthPlugin({
    n: limits.depth,
    flattenFragments: true,
    ignoreIntrospection: false,
    ...refuse(`The document is nested more than ${String(limits.depth)} fields deep.`),
  }),
  maxAliasesPlugin({
    n: limits.aliases,
    allowList: [],
    ...refuse(`The document has more than ${String(limits.aliases)} aliases.`),
  }),
  maxDirectivesPlugin({
    n: limits.directives,
    ...refuse(`The document has more than ${String(limits.directives)} directives.`),
  }),
  mergeCostPlugin(),
];

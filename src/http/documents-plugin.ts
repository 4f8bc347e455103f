import type { GraphQLParams, Plugin } from 'graphql-yoga';
import type { PersistedDocuments } from '../graphql/persisted-documents.js';
import { badRequest } from './bad-request.js';

/** Puts the text in place of its hash, and refuses what may not run here, before yoga looks whether there is a text. */
export function usePersistedDocuments(documents: PersistedDocuments): Plugin {
  return {
    onParams({ params, setParams }) {
      const query = documents.textOf(params);
      if (query === undefined && params.query == null)
        throw badRequest(400, 'Send the document as `query`, or its hash as `documentId`.');
      if (query !== undefined) setParams({ ...params, query, documentId: undefined } as GraphQLParams);
    },
  };
}

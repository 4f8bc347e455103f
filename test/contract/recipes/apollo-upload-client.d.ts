// apollo-upload-client comes with types in JSDoc only, which TypeScript does not read in node_modules.
declare module 'apollo-upload-client/UploadHttpLink.mjs' {
  import type { ApolloLink } from '@apollo/client';

  export default class UploadHttpLink extends ApolloLink {
    constructor(options: { uri: string; fetch?: typeof fetch; headers?: Record<string, string> });
  }
}

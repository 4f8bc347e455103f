// Apollo Server 5 behind graphql-upload, wired as its readme shows.
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ApolloServer } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import { makeExecutableSchema } from '@graphql-tools/schema';
import express from 'express';
import GraphQLUpload from 'graphql-upload/GraphQLUpload.mjs';
import graphqlUploadExpress from 'graphql-upload/graphqlUploadExpress.mjs';
import './common.js';

const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    scalar Upload
    type Query {
      hello: String!
    }
    type Mutation {
      uploadFile(file: Upload!): Float!
    }
  `,
  resolvers: {
    Upload: GraphQLUpload,
    Mutation: {
      uploadFile: async (_root, { file }) => {
        const { createReadStream } = await file;
        const stored = createWriteStream(join(process.env.UPLOAD_DIR, randomUUID()));
        await pipeline(createReadStream(), stored);
        return stored.bytesWritten;
      },
    },
  },
});
const apollo = new ApolloServer({ schema });
await apollo.start();
const app = express();
app.use(
  '/graphql',
  graphqlUploadExpress({ maxFileSize: Infinity, maxFiles: 1 }),
  express.json(),
  expressMiddleware(apollo),
);
app.listen(Number(process.env.PORT), '127.0.0.1');

// Parley as it is, with all that it puts around a request, but serving what the others serve, from memory.
import { createRequire } from 'node:module';
import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/env.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { LIST, typeDefs } from './common.js';

// The bench has a graphql of its own, which would refuse this one's schemas.
const { createSchema } = createRequire(new URL('../../src/app.ts', import.meta.url))('graphql-yoga');

const config = loadConfig();
const schema = createSchema({
  typeDefs,
  resolvers: { Query: { hello: () => 'hi', messages: () => LIST } },
});
await createApp(config, createLogger(config.logLevel), schema);

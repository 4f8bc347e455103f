// Apollo Server 5 with graphql-ws and graphql-subscriptions, wired as its guide to subscriptions shows.
import { createServer } from 'node:http';
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginDrainHttpServer } from '@apollo/server/plugin/drainHttpServer';
import { expressMiddleware } from '@as-integrations/express5';
import { makeExecutableSchema } from '@graphql-tools/schema';
import express from 'express';
import { PubSub } from 'graphql-subscriptions';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { LIST, listen, newMessage, typeDefs } from './common.js';

const pubSub = new PubSub();
// Or Node warns of each subscriber from the eleventh on.
pubSub.ee.setMaxListeners(0);
const schema = makeExecutableSchema({
  typeDefs,
  resolvers: {
    Query: { hello: () => 'hi', messages: () => LIST },
    Mutation: {
      postMessage: (_root, { roomId, body }) => {
        const message = newMessage(body);
        void pubSub.publish(`room:${roomId}`, { messageAdded: message });
        return message;
      },
    },
    Subscription: {
      messageAdded: { subscribe: (_root, { roomId }) => pubSub.asyncIterableIterator(`room:${roomId}`) },
    },
  },
});
const app = express();
const server = createServer(app);
const sockets = new WebSocketServer({ server, path: '/graphql' });
const cleanup = useServer({ schema }, sockets);
const apollo = new ApolloServer({
  schema,
  plugins: [
    ApolloServerPluginDrainHttpServer({ httpServer: server }),
    { serverWillStart: async () => ({ drainServer: async () => cleanup.dispose() }) },
  ],
});
await apollo.start();
app.use('/graphql', express.json(), expressMiddleware(apollo));
listen(server);

// Mercurius with its just-in-time compiler, wired as its documentation shows.
import Fastify from 'fastify';
import mercurius from 'mercurius';
import { LIST, newMessage, typeDefs } from './common.js';

const app = Fastify();
app.register(mercurius, {
  schema: typeDefs,
  jit: 1,
  subscription: true,
  resolvers: {
    Query: { hello: () => 'hi', messages: () => LIST },
    Mutation: {
      postMessage: async (_root, { roomId, body }, { pubsub }) => {
        const message = newMessage(body);
        await pubsub.publish({ topic: `room:${roomId}`, payload: { messageAdded: message } });
        return message;
      },
    },
    Subscription: {
      messageAdded: {
        subscribe: (_root, { roomId }, { pubsub }) => pubsub.subscribe(`room:${roomId}`),
      },
    },
  },
});
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });

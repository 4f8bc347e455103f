// graphql-yoga with graphql-ws, wired as both projects' documentation shows.
import { createServer } from 'node:http';
import { useServer } from 'graphql-ws/use/ws';
import { createPubSub, createSchema, createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';
import { LIST, listen, newMessage, typeDefs } from './common.js';

const pubSub = createPubSub();
const schema = createSchema({
  typeDefs,
  resolvers: {
    Query: { hello: () => 'hi', messages: () => LIST },
    Mutation: {
      postMessage: (_root, { roomId, body }) => {
        const message = newMessage(body);
        pubSub.publish('room', roomId, message);
        return message;
      },
    },
    Subscription: {
      messageAdded: {
        subscribe: (_root, { roomId }) => pubSub.subscribe('room', roomId),
        resolve: (message) => message,
      },
    },
  },
});
const yoga = createYoga({ schema, logging: false });
const server = createServer(yoga);
const sockets = new WebSocketServer({ server, path: yoga.graphqlEndpoint });
useServer(
  {
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    onSubscribe: async (context, _id, params) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params,
      });
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      };
      const errors = validate(args.schema, args.document);
      return errors.length > 0 ? errors : args;
    },
  },
  sockets,
);
listen(server);

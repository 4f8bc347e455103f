import { serverModule } from './paths.js';

const FIELDS = 'id body author { id name } createdAt';
const POST = 'mutation ($roomId: ID!, $body: String!) { postMessage(roomId: $roomId, body: $body) { id } }';

/** What subscriber `index` asks of a message: all the same, or one of `selections` ways that differ by an alias. */
export const fieldsOf = ({ selections }, index) =>
  selections > 1 ? `${FIELDS} v${index % selections}: createdAt` : FIELDS;

/** Subscribers and messages go round the rooms by their numbers. */
export const roomOf = ({ rooms }, number) => String(number % rooms);

/** The fan-out of a GraphQL server of bench/servers, which all have the same schema. */
export const graphqlFanout = (script) => ({
  start: (bench) => bench.startServer(['--expose-gc', serverModule(script)]),
  protocol: 'graphql-transport-ws',
  path: () => '/graphql',
  subscribe: (context, index) => ({
    query: `subscription ($roomId: ID!) { messageAdded(roomId: $roomId) { ${fieldsOf(context, index)} } }`,
    variables: { roomId: roomOf(context, index) },
  }),
  publish: (context, number, body) => ({
    path: '/graphql',
    body: { query: POST, variables: { roomId: roomOf(context, number), body } },
  }),
});

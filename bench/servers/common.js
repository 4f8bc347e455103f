import { randomUUID } from 'node:crypto';
import './collect-garbage.js';

process.on('SIGTERM', () => process.exit(0));

const AUTHOR = { id: 'u-42', name: 'Ada Lovelace' };

/** A message as every server makes it, in memory. */
export const newMessage = (body) => ({
  id: randomUUID(),
  body,
  author: AUTHOR,
  createdAt: new Date().toISOString(),
});

/** Fifty messages that are there already. */
export const LIST = Array.from({ length: 50 }, (_, i) => newMessage(`message ${i} ${'x'.repeat(90)}`));

/** The schema of every GraphQL server here. */
export const typeDefs = /* GraphQL */ `
  type Author {
    id: ID!
    name: String!
  }
  type Message {
    id: ID!
    body: String!
    author: Author!
    createdAt: String!
  }
  type Query {
    hello: String!
    messages: [Message!]!
  }
  type Mutation {
    postMessage(roomId: ID!, body: String!): Message!
  }
  type Subscription {
    messageAdded(roomId: ID!): Message!
  }
`;

/** The JSON that a request brings. */
export async function readJson(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return JSON.parse(text);
}

export function answerJson(response, value) {
  const text = JSON.stringify(value);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

export const listen = (server) => server.listen(Number(process.env.PORT), '127.0.0.1');

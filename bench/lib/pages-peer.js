import { signIn } from '../load/parley.js';
import { startParley } from './parley-peer.js';
import { serverModule } from './paths.js';

const NODE = 'id body createdAt author { id name }';

/** A GraphQL request for a page. */
export const pageQuery = (query, variables, headers = {}) => ({
  method: 'POST',
  path: '/graphql',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify({ query, variables }),
});

/** The query that Parley and whoever has its shape is asked; `total` when they count too. */
export const roomQuery = ({ total }) =>
  `query ($id: ID!, $after: String) { room(id: $id) { messages(first: 50, after: $after) {
    ${total ? 'totalCount' : ''} edges { cursor node { ${NODE} } } pageInfo { hasNextPage endCursor } } } }`;

/** The messages of an answer to it. */
export const messagesOf = ({ data }) => data.room.messages.edges.map(({ node }) => node);

/** Starts a server of bench/servers on the timeline. */
export const startOn =
  (script, env = {}) =>
  (bench, { database, room }) =>
    bench.startServer([serverModule(script)], { DATABASE_URL: database, ROOM: room, ...env });

/** Parley, asked by a member of the room who has just signed in. */
export const parleyPages = (root) => ({
  /** Another checkout may have other tables. */
  root,
  start: (bench, { database }) => startParley(bench, { root, database }),
  request: async ({ reader, roomId, cursors }, { depth, url }) => {
    const { token } = await signIn(reader, url);
    const variables = { id: roomId, after: cursors[depth] };
    return pageQuery(roomQuery({ total: true }), variables, { authorization: `Bearer ${token}` });
  },
  messagesOf,
});

const ORDER = 'condition: { roomId: $roomId }, orderBy: [ROOM_ID_ASC, SEQ_ASC]';

/** PostGraphile, which names things after the tables; in this order it pages by the index that Parley pages by. */
export const postgraphilePages = ({ total }) => ({
  start: startOn('pages-postgraphile.js'),
  request: async ({ room }, { offset, url }) => {
    const after = offset === 0 ? null : await postgraphileCursor(url, room, offset);
    const query = `query ($roomId: UUID!, $after: Cursor) { allMessages(${ORDER}, first: 50, after: $after) {
      ${total ? 'totalCount' : ''} edges { cursor node { rowId body createdAt userByAuthorId { rowId name } } }
      pageInfo { hasNextPage endCursor } } }`;
    return pageQuery(query, { roomId: room, after });
  },
  messagesOf: ({ data }) =>
    data.allMessages.edges.map(({ node: { rowId, body, createdAt, userByAuthorId } }) => ({
      id: rowId,
      body,
      createdAt,
      author: { id: userByAuthorId.rowId, name: userByAuthorId.name },
    })),
});

async function postgraphileCursor(url, room, offset) {
  const query = `query ($roomId: UUID!, $offset: Int!) { allMessages(${ORDER}, first: 1, offset: $offset) { edges { cursor } } }`;
  const { path, ...request } = pageQuery(query, { roomId: room, offset: offset - 1 });
  const answer = await (await fetch(url + path, request)).json();
  return answer.data.allMessages.edges[0].cursor;
}

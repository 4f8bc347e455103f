// graphql-yoga and Pothos with resolveCursorConnection, its way to page by a key.
import { createServer } from 'node:http';
import SchemaBuilder from '@pothos/core';
import RelayPlugin, { resolveCursorConnection } from '@pothos/plugin-relay';
import { createYoga } from 'graphql-yoga';
import pg from 'pg';
import { listen } from './common.js';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

const builder = new SchemaBuilder({ plugins: [RelayPlugin], relay: {} });
const Author = builder.objectRef('Author').implement({
  fields: (t) => ({ id: t.exposeID('id'), name: t.exposeString('name') }),
});
const Message = builder.objectRef('Message').implement({
  fields: (t) => ({
    id: t.exposeID('id'),
    body: t.exposeString('body'),
    createdAt: t.string({ resolve: (message) => message.created_at.toISOString() }),
    author: t.field({ type: Author, resolve: ({ author_id, name }) => ({ id: author_id, name }) }),
  }),
});
const Room = builder.objectRef('Room').implement({
  fields: (t) => ({
    messages: t.connection({
      type: Message,
      resolve: (room, args) =>
        resolveCursorConnection({ args, toCursor: (message) => message.seq }, (slice) =>
          page(room.id, slice),
        ),
    }),
  }),
});
builder.queryType({
  fields: (t) => ({
    room: t.field({
      type: Room,
      args: { id: t.arg.id({ required: true }) },
      resolve: (_root, { id }) => ({ id }),
    }),
  }),
});

/** The rows between two keys; Pothos asks for one more than a page has. */
async function page(room, { before, after, limit, inverted }) {
  const order = inverted ? 'desc' : 'asc';
  const { rows } = await pool.query({
    name: `page ${order}`,
    text: `select m.id, m.seq, m.body, m.created_at, m.author_id, u.name
      from messages m join users u on u.id = m.author_id
      where m.room_id = $1 and m.seq > $2 and m.seq < $3 order by m.seq ${order} limit $4`,
    values: [room, after ?? 0, before ?? Number.MAX_SAFE_INTEGER, limit],
  });
  return rows;
}

listen(createServer(createYoga({ schema: builder.toSchema(), logging: false })));

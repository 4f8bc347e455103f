// pg over node:http, and JSON of the same shape as the others'. PAGING: keyset, the limit; offset, as OFFSET and COUNT(*) have it.
import { createServer } from 'node:http';
import pg from 'pg';
import { answerJson, listen } from './common.js';

const { DATABASE_URL, ROOM, PAGING } = process.env;
const SIZE = 50;
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 10 });

const PAGE = `
  select m.id, m.seq, m.body, m.created_at, m.author_id, u.name, r.message_count
  from rooms r join messages m on m.room_id = r.id join users u on u.id = m.author_id
  where r.id = $1`;
const AFTER = { name: 'after', text: `${PAGE} and m.seq > $2 order by m.seq limit $3` };
const OFFSET = { name: 'offset', text: `${PAGE} order by m.seq limit $3 offset $2` };
const COUNT = { name: 'count', text: 'select count(*) from messages where room_id = $1' };

/** `after`: a cursor, or an offset. One row more than a page tells whether there is a next one. */
async function keyset(after) {
  const { rows } = await pool.query({
    ...AFTER,
    values: [ROOM, after === null ? 0 : decode(after), SIZE + 1],
  });
  return answerOf(rows, Number(rows[0]?.message_count));
}

async function offset(after) {
  const [{ rows }, count] = await Promise.all([
    pool.query({ ...OFFSET, values: [ROOM, Number(after), SIZE + 1] }),
    pool.query({ ...COUNT, values: [ROOM] }),
  ]);
  return answerOf(rows, Number(count.rows[0].count));
}

function answerOf(rows, totalCount) {
  const edges = rows.slice(0, SIZE).map((row) => ({
    cursor: encode(row.seq),
    node: {
      id: row.id,
      body: row.body,
      createdAt: row.created_at,
      author: { id: row.author_id, name: row.name },
    },
  }));
  const pageInfo = { hasNextPage: rows.length > SIZE, endCursor: edges.at(-1)?.cursor ?? null };
  return { data: { room: { messages: { totalCount, edges, pageInfo } } } };
}

const encode = (seq) => Buffer.from(seq).toString('base64url');
const decode = (cursor) => Buffer.from(cursor, 'base64url').toString();

const read = PAGING === 'offset' ? offset : keyset;
listen(
  createServer(async (request, response) => {
    const { searchParams } = new URL(request.url, 'http://localhost');
    answerJson(response, await read(searchParams.get('after')));
  }),
);

import { ask, createRoom, signIn, signUp } from '../load/parley.js';
import { startParley } from './parley-peer.js';

const AUTHORS = 1_000;
/** Messages that one statement writes: it has a minute. */
const CHUNK = 50_000;
const PAGE = 100;

/** How far into the timeline of `n` messages each page begins. The last one still has rows after it. */
export const offsetsOf = (n) => ({ start: 0, middle: n / 2, end: n - 99 });

/**
 * A room of `n` messages in Parley's own tables, for every peer to page through: written by SQL into a room of a real account, with what
 * the room's row counts. Message k says `message k …` and has the seq k + 1. Answers its `database`, `room` (uuid) and `roomId`, the
 * `reader`'s account, `n`, and Parley's page `cursors`. `root`: the checkout whose tables they are.
 */
export async function makeTimeline(bench, n, root) {
  const { url: database } = await bench.services.createDatabase();
  const server = await startParley(bench, { root, database });
  try {
    const reader = await signUp(server.url);
    const roomId = await createRoom(reader);
    const [{ id: room }] = await bench.services.query(database, 'select id from rooms');
    await fill(bench.services, database, room, n);
    const cursors = await walk(await signIn(reader, server.url), roomId, n);
    return { database, room, roomId, reader, n, cursors };
  } finally {
    await server.stop();
  }
}

async function fill(services, database, room, n) {
  const run = (text) => services.query(database, text);
  await run(
    `insert into users (id, handle, name)
     select gen_random_uuid(), 'author-' || k, 'Author ' || k from generate_series(1, ${AUTHORS}) k`,
  );
  for (let from = 1; from <= n; from += CHUNK) {
    // What is written here refers to what is there: the checks of foreign keys would take most of the time.
    await run(
      `set session_replication_role = replica;
       with authors as (select array_agg(id order by handle) as ids from users where handle like 'author-%')
       insert into messages (id, room_id, seq, author_id, body, created_at)
       select encode(overlay(uuid_send(gen_random_uuid()) placing
                substring(int8send(1704067200000 + k * 7000::bigint) from 3) from 1 for 6), 'hex')::uuid,
              '${room}', k + 1, ids[1 + (k::bigint * 7919) % ${AUTHORS}],
              'message ' || k || ' ' || repeat(md5(k::text), 3), timestamptz '2024-01-01 00:00Z' + k * interval '7 seconds'
       from authors, generate_series(${from}, ${Math.min(n, from + CHUNK - 1)}) k`,
    );
  }
  await run(`update rooms set last_seq = ${n + 1}, message_count = ${n} where id = '${room}'`);
  await run('vacuum analyze');
}

/** Cursors can only be had by paging: from the start to the middle, and from the end. */
async function walk(reader, roomId, n) {
  const read = async (page) => {
    const query = `{ room(id: "${roomId}") { messages(${page}) { edges { cursor } pageInfo { endCursor } } } }`;
    return (await ask(reader, query)).room.messages;
  };
  let middle = null;
  for (let seen = 0; seen < offsetsOf(n).middle; seen += PAGE) {
    const after = middle === null ? '' : `, after: "${middle}"`;
    middle = (await read(`first: ${PAGE}${after}`)).pageInfo.endCursor;
  }
  const end = (await read(`last: ${PAGE}`)).edges[0].cursor;
  return { start: null, middle, end };
}

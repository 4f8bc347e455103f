import { setUpParley, USERS } from '../load/parley.js';
import { startParley } from '../lib/parley-peer.js';
import { peersOf } from '../lib/peers.js';
import { format, formatRatio, formatSpread, markdownTable } from '../lib/statistics.js';

/** Writers who all stand in one room, and have one each. */
const ROOMS = [1, USERS];

/** Writers who post one message after the other: each is on the disk, with its place in the log, before it is answered. */
export const post = {
  options: { seconds: { default: '10', help: 'time of each measurement' } },

  nameOf: () => 'post',

  async run(bench) {
    const peers = await peersOf('post', bench.options);
    return { peers, runs: await bench.interleave(peers, (peer) => measure(bench, peer), summary) };
  },

  tables({ peers, runs }) {
    const limit = peers.find((peer) => peer.limit);
    const of = (peer, index) =>
      runs.flatMap((run) => (run.peer === peer?.name && run.posts !== undefined ? [run.posts[index]] : []));
    const rates = (posts) => posts.map((one) => one.rate);
    return ROOMS.map((rooms, index) =>
      markdownTable(
        peers.map((peer) => {
          const posts = of(peer, index);
          return {
            [`${USERS} writers in ${rooms === 1 ? 'one room' : `${rooms} rooms`}`]: peer.title,
            'posts/s': formatSpread(rates(posts)),
            'of the limit': formatRatio(rates(posts), rates(of(limit, index))),
            'p50 ms': formatSpread(posts.map((one) => one.p50)),
            'p99 ms': formatSpread(posts.map((one) => one.p99)),
            'server CPU ms a post': formatSpread(posts.map((one) => one.cpuMs)),
          };
        }),
      ),
    );
  },
};

async function measure(bench, { part }) {
  const posts = [];
  for (const rooms of ROOMS) posts.push(await bench.undisturbed(() => measureIn(bench, part, rooms)));
  return { posts };
}

async function measureIn(bench, part, rooms) {
  const { services } = bench;
  const database = await services.createDatabase();
  try {
    const place = await prepare(bench, database.url, rooms, part.root);
    // Each begins with nothing left to write from before.
    await services.query(database.url, 'checkpoint');
    const measured = { rooms, ...(await part.measure(bench, place)) };
    await check(services, database.url, measured.all);
    return measured;
  } finally {
    await database.drop();
  }
}

/** Real accounts and rooms, by Parley, which is then stopped: who writes, and where. */
async function prepare(bench, database, rooms, root) {
  const server = await startParley(bench, { root, database });
  try {
    const { users, roomIds } = await setUpParley({ url: server.url, n: USERS, rooms });
    const ids = await bench.services.query(
      database,
      `select (select json_object_agg(email, id) from users) as users,
              (select json_agg(id order by created_at) from rooms) as rooms`,
    );
    const writers = users.map(({ email }, index) => ({
      author: ids[0].users[email],
      room: ids[0].rooms[index % rooms],
    }));
    return { database, users, roomIds, writers };
  } finally {
    await server.stop();
  }
}

/** Every acknowledged post must be there, and the log without a hole, whoever wrote it. */
async function check(services, database, acknowledged) {
  const [found] = await services.query(
    database,
    `select (select count(*) from messages)::int as messages, (select count(*) from room_events)::int as events,
            (select sum(last_seq) from rooms)::int as seqs, (select sum(message_count) from rooms)::int as counted`,
  );
  const { messages, events, seqs, counted } = found;
  if (messages !== acknowledged || counted !== acknowledged || events !== seqs) {
    throw new Error(`${acknowledged} posts were acknowledged, the database has ${JSON.stringify(found)}`);
  }
}

const summary = ({ posts }) =>
  posts
    .map(
      ({ rooms, rate, p99 }) =>
        `${format(rate)} posts/s in ${rooms === 1 ? 'one room' : `${rooms} rooms`}, p99 ${format(p99)} ms`,
    )
    .join('; ');

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setUpParley } from '../load/parley.js';
import { fieldsOf, roomOf } from './graphql-peer.js';
import { ROOT, serverModule } from './paths.js';

const POST = `mutation ($input: PostMessageInput!) { postMessage(input: $input) { message { id } eventCursor } }`;

/** Of the bench's own Parleys, each of which starts with it; page cursors of one are good for the next. */
const JWT_SECRET = randomBytes(32).toString('hex');

/** Node's flags and the program of `npm start` in the checkout at `root`. */
function startOf(root) {
  const { start } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts;
  const args = start.split(' ').slice(start.split(' ').indexOf('node') + 1);
  return { flags: args.slice(0, -1), program: [join(root, args.at(-1))] };
}

/**
 * Starts Parley as an operator does, with its log in a file, on the database at `database` or on an empty one that goes when it is
 * stopped. `root`: the checkout that is built; `cpus`: the server's core unless it serves the load; `program`: what Node is to run;
 * `folder`: for its data; `env`: more variables. Resolves as `startServer` does, with the `database` too.
 */
export async function startParley(
  bench,
  { root = ROOT, redis = false, database, cpus, program, folder, env: more = {} } = {},
) {
  const own = database === undefined ? await bench.services.createDatabase() : undefined;
  const { directory } = await bench.sandbox();
  // A folder of files belongs to one database.
  const dataDir = folder ?? join(directory, new URL(database ?? own.url).pathname);
  await mkdir(dataDir, { recursive: true });
  const env = {
    DATABASE_URL: database ?? own.url,
    DATA_DIR: dataDir,
    JWT_SECRET,
    // Runs that come close after each other sign up from one address, and Redis remembers.
    SIGN_UP_LIMIT_PER_ADDRESS: '1000',
    // A few users at one address do what thousands would. It is counted all the same.
    SOCKET_LIMIT_PER_ADDRESS: '1000000',
    OPERATION_LIMIT: '999999999/999999999',
    POST_LIMIT: '999999999/999999999',
    ROOM_LIMIT: '999999999/999999999',
    JOIN_LIMIT: '999999999/999999999',
    UPLOAD_LIMIT: '999999999/999999999',
    // No balancer has to notice its end.
    DRAIN_DELAY: '0s',
    ...(redis && { REDIS_URL: await bench.services.redisUrl() }),
    ...more,
  };
  const start = startOf(root);
  const args = [
    '--expose-gc',
    '--import',
    serverModule('collect-garbage.js'),
    ...start.flags,
    ...(program ?? start.program),
  ];
  const server = await bench.startServer(args, env, { cpus });
  return {
    ...server,
    database: env.DATABASE_URL,
    stop: async () => {
      await server.stop();
      await own?.drop();
    },
  };
}

/** The fan-out of Parley, built in the checkout at `root`: real accounts, rooms, tokens and posts. */
export const parleyFanout = ({ root, ...more } = {}) => ({
  start: (bench) => startParley(bench, { root }),
  setup: (context) => setUpParley(context),
  protocol: 'graphql-transport-ws',
  path: () => '/graphql',
  connectionParams: ({ users }, index) => ({ authorization: `Bearer ${users[index % users.length].token}` }),
  subscribe: (context, index) => ({
    query: `subscription ($roomId: ID!, $after: String) { messageAdded(roomId: $roomId, after: $after) { message { ${fieldsOf(context, index)} } } }`,
    // Where someone who comes back had stopped.
    variables: { roomId: context.roomIds[roomOf(context, index)], after: context.afterOf?.(index) },
  }),
  messageOf: (value) => value.message,
  publish: (context, number, body) => {
    const room = roomOf(context, number);
    const members = context.members[room];
    const author = members[Math.floor(number / context.rooms) % members.length];
    return postMessage(author, context.roomIds[room], body);
  },
  ...more,
});

/** The request by which a user posts. */
export const postMessage = ({ token }, roomId, body) => ({
  path: '/graphql',
  headers: { authorization: `Bearer ${token}` },
  body: { query: POST, variables: { input: { roomId, body } } },
});

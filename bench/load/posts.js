import { setTimeout as pause } from 'node:timers/promises';
import { postMessage } from '../lib/parley-peer.js';
import { cpuSeconds } from '../lib/processes.js';
import { quantile } from '../lib/statistics.js';
import { bodyOf } from './bodies.js';
import { HttpConnection } from './http.js';
import { RawSocket } from './websocket.js';

/**
 * Writers who each post one message after the other: prints as JSON how many were answered a second, how long an answer took, and how
 * many were answered in `all`, those before and after the measured time among them.
 */
const config = JSON.parse(process.argv[2]);
const { url, users, roomIds, pid, seconds } = config;
const WARM_MS = 2_000;

const transports = { http: overHttp, socket: overSocket };
const waits = [];
let measuring = false;
let stopped = false;
let all = 0;

const writers = await Promise.all(users.map((user) => transports[config.transport](user)));
const writing = Promise.all(
  writers.map((post, index) => write(post, users[index], roomIds[index % roomIds.length])),
);
await pause(WARM_MS);
const cpu = cpuSeconds(pid);
const start = performance.now();
measuring = true;
await Promise.race([pause(seconds * 1000), writing]);
measuring = false;
const took = (performance.now() - start) / 1000;
const used = cpuSeconds(pid) - cpu;
stopped = true;
await writing;
console.log(
  JSON.stringify({
    rate: waits.length / took,
    p50: quantile(waits, 0.5),
    p99: quantile(waits, 0.99),
    cpuMs: (used / waits.length) * 1000,
    all,
  }),
);
process.exit(0);

async function write(post, user, roomId) {
  while (!stopped) {
    const sent = performance.now();
    const { errors } = await post(postMessage(user, roomId, bodyOf((all += 1))));
    if (errors !== undefined) throw new Error(JSON.stringify(errors));
    if (measuring) waits.push(performance.now() - sent);
  }
}

async function overHttp() {
  const connection = new HttpConnection(url);
  return async ({ path, body, headers }) => JSON.parse(await connection.post(path, body, headers));
}

/** One operation after the other on one graphql-transport-ws socket. */
async function overSocket({ token }) {
  let heard;
  const message = () => new Promise((resolve) => (heard = resolve));
  const socket = await RawSocket.connect({
    url: `${url}/graphql`,
    protocol: 'graphql-transport-ws',
    onMessage: (buffer, begin, end) => {
      const answer = JSON.parse(buffer.utf8Slice(begin, end));
      // It follows each answer, and says nothing new.
      if (answer.type !== 'complete') heard(answer);
    },
    onClose: (why) => {
      throw new Error(`a writer was cut off: ${why}`);
    },
  });
  const acknowledged = message();
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }));
  await acknowledged;
  let operations = 0;
  return async ({ body }) => {
    const id = String((operations += 1));
    const answered = message();
    socket.send(JSON.stringify({ id, type: 'subscribe', payload: body }));
    const { type, payload } = await answered;
    if (type !== 'next') throw new Error(`a post was answered by ${type}: ${JSON.stringify(payload)}`);
    return payload;
  };
}

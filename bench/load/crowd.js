import pg from 'pg';
import { loadPeer } from '../lib/peers.js';
import { cpuSeconds } from '../lib/processes.js';
import { numberIn } from './bodies.js';
import { Publisher } from './publisher.js';
import { Subscribers } from './subscribers.js';

/**
 * Everyone is cut off at another place of a room's log and comes back at once: prints as JSON how long it takes until all have what they
 * missed, each in order and once, and how many statements the database was asked.
 */
const config = JSON.parse(process.argv[2]);
const { n, missed, pid } = config;
const { crowd: part } = await loadPeer(config.peer);
const DEADLINE_MS = 300_000;

const context = { url: config.url, n, rooms: 1, selections: 1 };
Object.assign(context, await part.setup(context));
const publisher = new Publisher(part, context, 8);
const database = new pg.Client({ connectionString: config.database });
await database.connect();
await database.query('create extension pg_stat_statements');

// They listen, are cut off, and miss some messages, one after the other so that numbers are in the order of the log.
const before = new Subscribers(part, context);
await before.open(n);
const heard = before.until(n, DEADLINE_MS);
const cursors = [cursorOf(await publisher.post())];
await expect(heard, 'the message before');
before.close();
while (cursors.length <= missed) cursors.push(cursorOf(await publisher.post()));
const newest = publisher.count;

// They come back.
const missedBy = (index) => missed - (index % missed);
context.afterOf = (index) => cursors[index % missed];
const back = new Subscribers(part, context);
const due = Array.from({ length: n }, (_, index) => missedBy(index)).reduce((sum, one) => sum + one, 0);
const next = Array.from({ length: n }, (_, index) => newest - missedBy(index) + 1);
back.checkAll = false;
back.observe = (buffer, start, end, { index }) => {
  const number = numberIn(buffer, start, end);
  if (number !== next[index])
    throw new Error(`subscriber ${index} got ${number} where ${next[index]} was due`);
  next[index] += 1;
};
await database.query('select pg_stat_statements_reset()');
const cpu = cpuSeconds(pid);
const start = performance.now();
const caughtUp = back.until(due, DEADLINE_MS);
await back.open(n, { atOnce: true });
const connected = performance.now();
await expect(caughtUp, 'what was missed');
const outcome = {
  deliveries: due,
  connected: (connected - start) / 1000,
  caughtUp: (back.lastAt - start) / 1000,
  cpu: cpuSeconds(pid) - cpu,
  ...(await statements()),
};

// And are live again.
const live = back.until(due + n, DEADLINE_MS);
await publisher.post();
await expect(live, 'the message after');
outcome.live = back.lastAt - publisher.sentAt[publisher.count];
if (next.some((number) => number !== newest + 2)) throw new Error('not everyone got all');
console.log(JSON.stringify(outcome));
process.exit(0);

function cursorOf({ data }) {
  return data.postMessage.eventCursor;
}

async function expect(reached, what) {
  if (!(await reached)) throw new Error(`${what} did not reach everyone`);
}

async function statements() {
  const { rows } = await database.query(
    `select coalesce(sum(calls), 0)::int as statements,
            coalesce(sum(calls) filter (where query like '%room_events%'), 0)::int as "logReads"
     from pg_stat_statements s join pg_database d on d.oid = s.dbid
     where d.datname = current_database() and query not like '%pg_stat%'`,
  );
  return rows[0];
}

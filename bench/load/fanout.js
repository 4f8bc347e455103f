import { setTimeout as pause } from 'node:timers/promises';
import { loadPeer } from '../lib/peers.js';
import { cpuSeconds, DISTURBED, othersCpuSeconds, residentKiB } from '../lib/processes.js';
import { quantile } from '../lib/statistics.js';
import { numberIn } from './bodies.js';
import { Publisher } from './publisher.js';
import { Subscribers } from './subscribers.js';

/**
 * One run of a fan-out against one server: prints what was measured as JSON. Every subscriber must get every message of its room
 * once; the first message is compared in full on each, then a sample.
 */
const config = JSON.parse(process.argv[2]);
const { n, rooms, pid, benchPid } = config;
const { fanout: part } = await loadPeer(config.peer);
const DELIVERY_MS = 180_000;
/** Milliseconds between two looks at the log by a process that nothing wakes, less what a look may take. */
const LOOK_MS = 2_000 - 100;

const context = { url: config.url, postUrl: config.postUrl, n, rooms, selections: config.selections };
Object.assign(context, await part.setup?.(context));
const subscribers = new Subscribers(part, context);
const publisher = new Publisher(part, context, part.inFlight ?? config.inFlight);

const outcome = { memory: {} };
const empty = await residentAfterGc();
await subscribers.open(n);
await deliverOne();
await pause(config.settle);
outcome.memory.idle = (residentKiB(pid) - empty) / n;
outcome.memory.afterGc = ((await residentAfterGc()) - empty) / n;
subscribers.checkAll = false;
const warm = await burst(roundUp(Math.max(8, config.m / 8)));
const size = burstSize(warm.rate);
outcome.gentle = part.gentle === false ? [] : await inTurn(config.gentle, gentle);
outcome.bursts = await undisturbedBursts();
outcome.checked = subscribers.checked;
console.log(JSON.stringify(outcome));
process.exit(0);

/** One message to each room. */
async function deliverOne() {
  subscribers.reset();
  const all = subscribers.until(n, DELIVERY_MS);
  await publisher.postMany(rooms);
  if (!(await all)) throw new Error(`the first message reached ${subscribers.total} of ${n}`);
}

/** KiB of the server once it has collected its garbage. */
async function residentAfterGc() {
  process.kill(pid, 'SIGUSR2');
  await pause(1_200);
  return residentKiB(pid);
}

/** As many messages as take about the wanted time, and as many in each room. */
function burstSize(rate) {
  const affordable = (rate * config.burstSeconds * rooms) / n;
  return roundUp(Math.max(4, Math.min(config.m, affordable)));
}

function roundUp(count) {
  return Math.ceil(count / rooms) * rooms;
}

/** Bursts during which others used our cores are thrown away, twice as many as are wanted at most. */
async function undisturbedBursts() {
  const kept = [];
  let patience = config.noWait ? 0 : 2 * config.bursts;
  while (kept.length < config.bursts) {
    const one = await burst(size);
    if (one.disturbed <= DISTURBED || patience-- <= 0) kept.push(one);
    else await pause(1_500);
    await pause(300);
  }
  return kept;
}

function burst(m) {
  return part.fromLog ? burstFromLog(m) : burstOfPosts(m);
}

/** `m` messages as fast as they are taken: from the first post to the last delivery. */
async function burstOfPosts(m) {
  subscribers.reset();
  const deliveries = (n * m) / rooms;
  const cpu = cpuSeconds(pid);
  const others = othersCpuSeconds(benchPid);
  const start = performance.now();
  const all = subscribers.until(deliveries, DELIVERY_MS);
  const posted = publisher.postMany(m).then(() => (performance.now() - start) / 1000);
  const reached = await all;
  const measured = {
    m,
    seconds: (subscribers.lastAt - start) / 1000,
    cpu: cpuSeconds(pid) - cpu,
    others: othersCpuSeconds(benchPid) - others,
    posting: await posted,
  };
  return finish(reached, deliveries, measured);
}

/**
 * `m` messages that lie in the log before the process hears of any: another one on the same database posts them between two of
 * its looks. From the first delivery to the last; CPU time from the last post on, so that what comes before the first counts.
 */
async function burstFromLog(m) {
  for (let attempt = 1; attempt <= 5; attempt++) {
    await deliverOne();
    // A look has just been: the next is two seconds after it.
    const looked = subscribers.firstAt;
    subscribers.reset();
    const deliveries = (n * m) / rooms;
    const all = subscribers.until(deliveries, DELIVERY_MS);
    await publisher.postMany(m);
    const posted = performance.now();
    const cpu = cpuSeconds(pid);
    const others = othersCpuSeconds(benchPid);
    const reached = await all;
    const inTime = posted < looked + LOOK_MS && posted < subscribers.firstAt;
    // A burst that a look has cut in two is no burst.
    if (!inTime) continue;
    return finish(reached, deliveries, {
      m,
      seconds: (subscribers.lastAt - subscribers.firstAt) / 1000,
      cpu: cpuSeconds(pid) - cpu,
      others: othersCpuSeconds(benchPid) - others,
      posting: (posted - looked) / 1000,
    });
  }
  throw new Error(`${m} messages could not be posted between two looks at the log: take a smaller --m`);
}

async function finish(reached, deliveries, { m, seconds, cpu, others, posting }) {
  const { total, bytes } = subscribers;
  // What comes twice comes late.
  await pause(250);
  if (!reached || !subscribers.allGot(m / rooms)) {
    throw new Error(`${total} of ${deliveries} deliveries came, not ${m / rooms} to each subscriber`);
  }
  return {
    messages: m,
    seconds,
    posting,
    rate: deliveries / seconds,
    cpuPerMillion: (cpu / deliveries) * 1e6,
    bytes: bytes / deliveries,
    disturbed: others / seconds,
  };
}

/** `rate` messages a second for some seconds, whatever becomes of them: the wait of each delivery, and of each message's last. */
async function gentle({ rate, seconds }) {
  const count = roundUp(rate * seconds);
  const perMessage = n / rooms;
  const waits = new Float64Array(count * perMessage);
  const missing = new Map();
  const lasts = [];
  let seen = 0;
  subscribers.observe = (buffer, start, end) => {
    const number = numberIn(buffer, start, end);
    const wait = performance.now() - publisher.sentAt[number];
    waits[seen++] = wait;
    const left = (missing.get(number) ?? perMessage) - 1;
    missing.set(number, left);
    if (left === 0) lasts.push(wait);
  };
  subscribers.reset();
  const others = othersCpuSeconds(benchPid);
  const start = performance.now();
  const all = subscribers.until(waits.length, DELIVERY_MS + seconds * 1_000);
  const posts = [];
  for (let i = 0; i < count; i++) {
    const due = start + (i * 1_000) / rate - performance.now();
    if (due > 0) await pause(due);
    posts.push(publisher.post());
  }
  const reached = await all;
  const took = (performance.now() - start) / 1_000;
  await Promise.all(posts);
  subscribers.observe = undefined;
  if (!reached)
    throw new Error(`${subscribers.total} of ${waits.length} deliveries came at ${rate} messages/s`);
  return {
    rate,
    p50: quantile(waits, 0.5),
    p99: quantile(waits, 0.99),
    lastP50: quantile(lasts, 0.5),
    lastP99: quantile(lasts, 0.99),
    // It fell behind: the waits tell how long it was measured, not how fast it is.
    overloaded: took > seconds + 0.5,
    disturbed: (othersCpuSeconds(benchPid) - others) / took,
  };
}

async function inTurn(items, work) {
  const results = [];
  for (const item of items) results.push(await work(item));
  return results;
}

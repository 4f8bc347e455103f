import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'ioredis';
import { roomTopic } from '../../src/events/bus.js';
import { Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { startCluster, type Cluster } from './cluster.js';
import { faultsOf, inject, type Fault } from './faults.js';
import { Follower, THICK, THIN } from './follower.js';
import type { Gate } from './gate.js';
import { Ledger } from './ledger.js';
import { reshuffle, type Removal } from './members.js';
import { makePerson, type Person } from './people.js';
import { Random } from './random.js';
import { heads, judge, uuidOf, type Verdict } from './verdict.js';
import { KINDS, transport } from './transports.js';
import { Waits } from './waits.js';
import { Writer } from './writer.js';

export interface ChaosOptions {
  /** The same seed draws the same faults in the same order; when they meet what, the machine decides. */
  readonly seed: number;
  /** How long things are broken. */
  readonly seconds: number;
  /** Faults after which it ends before its time. */
  readonly faults?: number;
  /** Writes a second, as far as the server keeps up. */
  readonly rate: number;
  /** Wake-ups go by a Redis Cluster, and it is what things happen to. */
  readonly redisCluster?: boolean;
  /**
   * One server of so many processes, which are replaced again and again, and nothing else is broken. Nobody is removed either, so
   * that each time a client comes back is counted against that.
   */
  readonly workers?: number;
  /** Kill process B in the end, and never start it again. */
  readonly forGood?: boolean;
  readonly log?: (line: string) => void;
}

export interface Outcome {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: number;
  readonly subscribers: string;
  readonly verdict: Verdict;
  readonly waits: Waits;
  readonly ledger: Ledger;
  readonly removals: readonly Removal[];
  readonly crashes: readonly string[];
  readonly failedStarts: number;
  /** Errors that the processes logged. */
  readonly logged: ReadonlyMap<string, number>;
  /** How often one client connected while the processes were replaced once: the most of all. */
  readonly reconnects: number;
  /** How subscriptions ended. */
  readonly ends: ReadonlyMap<string, number>;
  /** What must not happen, in words, and how often it did. */
  readonly oddities: ReadonlyMap<string, number>;
}

const ROOMS = 5;
const SUBSCRIBERS = 50;
const WRITERS = 4;
/** How long everyone may take to catch up in the end. */
const CATCH_UP_MS = 60_000;

/**
 * One run: a cluster, readers and writers, faults one after the other with a pause between them, and the comparison. Members
 * are removed and taken back all the while.
 */
export async function runChaos(options: ChaosOptions): Promise<Outcome> {
  const { seed, rate, log = () => undefined } = options;
  const random = new Random(seed);
  await using cluster = await startCluster(options);
  const stage = await setUp(cluster, random.fork());
  const { followers, waits, ledger } = stage;
  log(`seed ${seed}: ${followers.length} subscriptions of ${SUBSCRIBERS} clients`);

  const stop = new AbortController();
  const writing = stage.writers.map((writer) => writer.run(rate / WRITERS, stop.signal));
  const shuffling =
    options.workers === undefined
      ? reshuffle(stage.owner, stage.ownerGate.url, stage.people, followers, random.fork(), stop.signal)
      : Promise.resolve([]);
  const began = Date.now();
  const work = Promise.all([...writing, shuffling]);
  const { count: faults, reconnects } = await Promise.race([
    breakThings(cluster, stage, random.fork(), options),
    work.then(() => ({ count: 0, reconnects: 0 })),
  ]);
  if (options.forGood === true) {
    waits.begin('process killed for good');
    await cluster.nodes[1]!.kill();
    await pause(15_000);
  }
  stop.abort();
  await work;
  const removals = await shuffling;
  const lasted = Math.round((Date.now() - began) / 1000);

  const database = { connectionString: cluster.postgres.url };
  const ends = await heads(database);
  await eventually(CATCH_UP_MS, 'everyone catches up', () =>
    followers.every(({ roomId, lastSeq }) => lastSeq >= (ends.get(uuidOf(roomId)) ?? 0)),
  ).catch((error: unknown) => log(String(error)));
  for (const follower of followers) follower.stop();

  return {
    seed,
    seconds: lasted,
    faults: faults + removals.length + (options.forGood === true ? 1 : 0),
    subscribers: KINDS.map((kind) => `${clientsOf(kind, followers)} ${kind}`).join(', '),
    verdict: await judge(database, followers, ledger, removals),
    waits,
    ledger,
    removals,
    crashes: cluster.nodes.flatMap(({ crashes }) => crashes),
    failedStarts: cluster.nodes.reduce((total, { failedStarts }) => total + failedStarts, 0),
    logged: merged(cluster.nodes.map(({ errors }) => errors)),
    reconnects,
    ends: merged(followers.map((follower) => follower.ends)),
    oddities: merged([...followers.map((follower) => follower.oddities), ledger.oddities]),
  };
}

/** One fault after the other, each mended before the next begins, every kind in turn in an order that the seed draws. */
async function breakThings(
  cluster: Cluster,
  { gates, readers, slots, waits, ledger, followers }: Stage,
  random: Random,
  { seconds, workers, faults = Infinity, log = () => undefined }: ChaosOptions,
): Promise<{ count: number; reconnects: number }> {
  let reconnects = 0;
  const end = Date.now() + seconds * 1000;
  const kinds = faultsOf(cluster);
  let round: Fault[] = [];
  let count = 0;
  await pause(2000);
  while (Date.now() < end && count < faults) {
    if (round.length === 0) round = random.sample(kinds, kinds.length);
    const fault = round.pop()!;
    const at = Date.now();
    const before = readers.map(({ opened }) => opened);
    waits.begin(fault);
    await inject(fault, { cluster, gates, slots }, random);
    count += 1;
    // What it held up comes now; then some calm.
    await pause(random.between(2500, 4000));
    waits.calmDown();
    if (workers !== undefined)
      reconnects = Math.max(reconnects, ...readers.map(({ opened }, i) => opened - before[i]!));
    const delivered = followers.reduce((total, { seqs }) => total + seqs.length, 0);
    log(
      `${count}. ${fault}: ${Date.now() - at} ms; ${ledger.entries.length} writes, ${delivered} deliveries so far`,
    );
    await pause(random.between(0, 1500));
  }
  return { count, reconnects };
}

interface Stage {
  readonly owner: Person;
  readonly ownerGate: Gate;
  readonly people: readonly Person[];
  readonly gates: readonly Gate[];
  readonly slots: readonly number[];
  /** Those of the clients that follow. */
  readonly readers: readonly Gate[];
  readonly followers: readonly Follower[];
  readonly writers: readonly Writer[];
  readonly waits: Waits;
  readonly ledger: Ledger;
}

/** Users, rooms, readers and writers. Each reader is two clients, one on each process. */
async function setUp(cluster: Cluster, random: Random): Promise<Stage> {
  const ownerGate = await cluster.gate(0);
  const { url } = ownerGate;
  const owner = await makePerson(url, 'owner');
  const ownerClient = new Client(url, await owner.session.accessToken());
  const rooms: string[] = [];
  for (let i = 0; i < ROOMS; i += 1) rooms.push(await ownerClient.createRoom('PUBLIC', `room-${i}`));

  const join = async (handle: string): Promise<Person> => {
    const person = await makePerson(url, handle);
    const client = new Client(url, await person.session.accessToken());
    for (const roomId of rooms) await client.join(roomId);
    return person;
  };
  const people: Person[] = [];
  for (let i = 0; i < SUBSCRIBERS / 2; i += 1) people.push(await join(`reader-${i}`));

  const waits = new Waits();
  const onDelivery = ({ lateSince, arrivals }: Follower, at: number, arrival: number): void => {
    const before = arrivals.at(-2) ?? arrival;
    if (at >= lateSince) waits.delivered(arrival - at, before >= lateSince ? arrival - before : 0);
  };
  const cursors = new Map<string, string>();
  for (const id of rooms) {
    const { room } = await ownerClient.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, { id });
    cursors.set(id, room.eventCursor);
  }

  const gates: Gate[] = [];
  const followers: Follower[] = [];
  for (let i = 0; i < SUBSCRIBERS; i += 1) {
    const gate = await cluster.gate(i);
    gates.push(gate);
    const kind = KINDS[(i >> 1) % KINDS.length]!;
    const person = people[i >> 1]!;
    const subscribe = transport(kind, gate.url, person.session);
    // A socket carries all five rooms, an event stream one.
    for (const roomId of kind === 'sse' ? [rooms[i % ROOMS]!] : rooms) {
      followers.push(
        new Follower(
          `${kind} ${i}`,
          kind,
          person.userId,
          roomId,
          cursors.get(roomId)!,
          i % 5 === 0 ? THICK : THIN,
          subscribe,
          random.fork(),
          onDelivery,
        ),
      );
    }
  }

  const readers = [...gates];
  const ledger = new Ledger();
  const writers: Writer[] = [];
  for (let i = 0; i < WRITERS; i += 1) {
    const person = await join(`writer-${i}`);
    const ways = [await cluster.gate(0), await cluster.gate(1)] as const;
    gates.push(...ways);
    const urls: [string, string] = [ways[0].url, ways[1].url];
    writers.push(new Writer(`writer ${i}`, person, urls, rooms, random.fork(), ledger));
  }
  const slots = rooms.map((id) => new Command('ssubscribe', [roomTopic(uuidOf(id))]).getSlot());
  return { owner, ownerGate, people, gates, readers, slots, followers, writers, waits, ledger };
}

const clientsOf = (kind: string, followers: readonly Follower[]): number =>
  new Set(followers.filter((follower) => follower.kind === kind).map(({ client }) => client)).size;

function merged(maps: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const all = new Map<string, number>();
  for (const map of maps) for (const [key, count] of map) all.set(key, (all.get(key) ?? 0) + count);
  return all;
}

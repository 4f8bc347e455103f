import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readConfig } from '../../src/config/env.js';
import { roomTopic, SESSIONS_TOPIC, type Bus } from '../../src/events/bus.js';
import { MemoryBus } from '../../src/events/bus-memory.js';
import { RedisBus } from '../../src/events/bus-redis.js';
import { connectRedisCluster } from '../../src/events/redis-cluster.js';
import type { RedisLink } from '../../src/events/redis-link.js';
import { connectRedis } from '../../src/events/redis-single.js';
import { createLogger } from '../../src/observability/logger.js';
import { eventually, within } from '../support/deadline.js';
import {
  isMissing,
  locationOf,
  services,
  startRedisCluster,
  type ClusterMember,
  type RedisClusterServers,
} from '../support/services.js';

const logger = createLogger((process.env['TEST_LOG_LEVEL'] ?? 'silent') as 'silent');

/** The buses of two processes, the one to publish and the other to listen. */
interface Buses extends AsyncDisposable {
  readonly here: Bus;
  readonly there: Bus;
}

function overLinks(...links: readonly [RedisLink, RedisLink]): Buses {
  const [here, there] = [new RedisBus(links[0], logger), new RedisBus(links[1], logger)];
  return {
    here,
    there,
    [Symbol.asyncDispose]: async () => {
      for (const bus of [here, there]) await bus.close();
      for (const link of links) link.close();
    },
  };
}

const linkTo = ({ nodes }: { readonly nodes: string }): RedisLink =>
  connectRedisCluster(
    readConfig({
      DATABASE_URL: 'postgres://unused/here',
      JWT_SECRET: 'a secret that nothing is signed with here',
      REDIS_CLUSTER_NODES: nodes,
    }).redisCluster!,
    logger,
  );

const openOn = (servers: RedisClusterServers): Buses => overLinks(linkTo(servers), linkTo(servers));

const aTopic = (): string => roomTopic(randomUUID());
/** Whether anybody listens to it there. */
const hears = async (member: ClusterMember, topic: string): Promise<boolean> =>
  (await member.ask('PUBSUB', 'SHARDCHANNELS', topic)).trim() === topic;
const slotOf = (topic: string): number => new Command('ssubscribe', [topic]).getSlot();

const withoutRedis = isMissing(services.redis);
const withoutServer = isMissing(services.redisServer);
/** As a server before Redis 7: it knows no shard channels. */
const OLD = ['SSUBSCRIBE', 'SUNSUBSCRIBE', 'SPUBLISH'].flatMap((name) => ['--rename-command', name, '']);

interface Carrier {
  readonly name: string;
  readonly skip: boolean;
  readonly start: () => Promise<{ open: () => Buses } & Partial<AsyncDisposable>>;
}

const onCluster = (name: string, settings: readonly string[]): Carrier => ({
  name,
  skip: withoutServer,
  start: async () => {
    const servers = await startRedisCluster(settings);
    return { open: () => openOn(servers), [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose]() };
  },
});

const carriers: readonly Carrier[] = [
  {
    name: 'of a single process',
    skip: false,
    start: async () => {
      const bus = new MemoryBus();
      return { open: () => ({ here: bus, there: bus, [Symbol.asyncDispose]: () => bus.close() }) };
    },
  },
  {
    name: 'over one Redis',
    skip: withoutRedis,
    start: async () => {
      const link = (): RedisLink => connectRedis(locationOf(services.redis), logger);
      return { open: () => overLinks(link(), link()) };
    },
  },
  onCluster('over a Redis Cluster', []),
  onCluster('over a Redis Cluster without shard channels', OLD),
];

for (const { name, skip, start } of carriers) {
  describe.skipIf(skip)(`The bus ${name}`, () => {
    let carrier: Awaited<ReturnType<typeof start>>;
    let buses: Buses;
    beforeAll(async () => {
      carrier = await start();
      buses = carrier.open();
      await eventually(10_000, 'both are connected', async () => {
        for (const bus of [buses.here, buses.there]) await bus.ping();
        return true;
      });
    });
    afterAll(async () => {
      await buses[Symbol.asyncDispose]();
      await carrier[Symbol.asyncDispose]?.();
    });

    test('tells everyone who listens to a topic, in a later turn, and nobody else', async () => {
      const { here, there } = buses;
      const [topic, another] = [aTopic(), aTopic()];
      const [first, second, other] = [vi.fn(), vi.fn(), vi.fn()];
      await Promise.all([
        there.subscribe(topic, first),
        there.subscribe(topic, second),
        there.subscribe(another, other),
      ]);
      here.publish(topic, { type: 'event', seq: 1 });
      here.publish(topic, { type: 'event', seq: 2 });
      expect(first).not.toHaveBeenCalled();
      await vi.waitFor(() => expect(second).toHaveBeenCalledTimes(2), 5000);
      const both = [[{ type: 'event', seq: 1 }], [{ type: 'event', seq: 2 }]];
      // In whatever order: nobody relies on one, and two nodes of a cluster may carry them.
      for (const listener of [first, second]) {
        expect(listener.mock.calls).toHaveLength(2);
        expect(listener.mock.calls).toEqual(expect.arrayContaining(both));
      }
      expect(other).not.toHaveBeenCalled();
    });

    test('tells those no more who have left, goes on for the others, and takes them back', async () => {
      const { here, there } = buses;
      const topic = aTopic();
      const [gone, stays] = [vi.fn(), vi.fn()];
      const subscription = await there.subscribe(topic, gone);
      const other = await there.subscribe(topic, stays);
      await subscription.unsubscribe();
      here.publish(topic, 1);
      await vi.waitFor(() => expect(stays).toHaveBeenCalledOnce(), 5000);
      await other.unsubscribe();
      await there.subscribe(topic, stays);
      here.publish(topic, 2);
      await vi.waitFor(() => expect(stays.mock.lastCall).toEqual([2]), 5000);
      expect(gone).not.toHaveBeenCalled();
    });

    test('carries the topics of a hundred rooms and the one of all sessions', async () => {
      const { here, there } = buses;
      const topics = [SESSIONS_TOPIC, ...Array.from({ length: 100 }, aTopic)];
      const heard: string[] = [];
      await Promise.all(
        topics.map((topic) => there.subscribe(topic, (said) => heard.push(`${topic} ${said as string}`))),
      );
      for (const topic of topics) here.publish(topic, topic);
      await vi.waitFor(() => expect(heard).toHaveLength(topics.length), 5000);
      expect(new Set(heard)).toEqual(new Set(topics.map((topic) => `${topic} ${topic}`)));
      await there.ping();
    });
  });
}

describe.skipIf(withoutServer)('The bus over a Redis Cluster, when something happens to it', () => {
  let servers: RedisClusterServers;
  let buses: Buses;
  /** One topic for each master, and what was heard on it. */
  const topics: string[] = [];
  const heard = new Map<string, number>();
  const back = vi.fn();
  let said = 0;

  beforeAll(async () => {
    servers = await startRedisCluster();
    buses = openOn(servers);
    buses.there.onReconnect(back);
    for (const slot of [0, 8000, 16_383]) {
      const { port } = await servers.masterOf(slot);
      for (;;) {
        const topic = aTopic();
        if ((await servers.masterOf(slotOf(topic))).port !== port) continue;
        topics.push(topic);
        break;
      }
    }
    await within(
      10_000,
      'it listens',
      Promise.all(
        topics.map((topic) => buses.there.subscribe(topic, (number) => heard.set(topic, number as number))),
      ),
    );
  });
  afterAll(async () => {
    await buses[Symbol.asyncDispose]();
    await servers[Symbol.asyncDispose]();
  });

  const arrives = async (topic: string): Promise<void> => {
    await eventually(15_000, 'what is published arrives', async () => {
      said += 1;
      buses.here.publish(topic, said);
      await pause(20);
      return heard.get(topic) === said;
    });
  };
  const isTold = (): Promise<unknown> =>
    eventually(15_000, 'a gap is reported', () => back.mock.calls.length > 0);

  test('each topic is heard by its own master alone', async () => {
    for (const topic of topics) {
      await arrives(topic);
      const listening = await Promise.all(servers.members.map((member) => hears(member, topic)));
      const master = await servers.masterOf(slotOf(topic));
      expect(servers.members.filter((_, i) => listening[i])).toEqual([master]);
    }
    expect(back).not.toHaveBeenCalled();
  });

  test('a slot that moves to another master is heard there, and the gap is reported', async () => {
    back.mockClear();
    const [topic] = topics as [string];
    const master = await servers.moveSlot(slotOf(topic));
    await isTold();
    expect(await hears(master, topic)).toBe(true);
    await arrives(topic);
  });

  test('connections that a server closes are made again, and the gap is reported', async () => {
    back.mockClear();
    const [, topic] = topics as [string, string];
    const master = await servers.masterOf(slotOf(topic));
    await master.ask('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await isTold();
    await arrives(topic);
  });

  test('a master that dies is followed to the replica that takes over, the gap is reported, and the others go on', async () => {
    back.mockClear();
    const [, dying, living] = topics as [string, string, string];
    const master = await servers.masterOf(slotOf(dying));
    await master.kill();
    await arrives(living);
    expect(back).not.toHaveBeenCalled();
    await isTold();
    await arrives(dying);
    await master.start();
    await servers.whole();
    for (const topic of topics) await arrives(topic);
    await buses.there.ping();
  });

  test('a cluster that is away as a whole keeps nobody waiting, and is listened to again', async () => {
    for (const member of servers.members) await member.kill();
    await expect(within(5000, 'an answer', buses.there.ping())).rejects.not.toThrow(/not within/);
    const late = buses.there.subscribe(aTopic(), () => undefined);
    back.mockClear();
    for (const member of servers.members) await member.start();
    await within(20_000, 'a subscription that was asked for meanwhile', late);
    await isTold();
    await servers.whole();
    for (const topic of topics) await arrives(topic);
  });
});

describe.skipIf(withoutServer)('A link to a Redis Cluster', () => {
  test('comes to every node by the same user, also to those that it was not told of', async () => {
    await using servers = await startRedisCluster();
    const rights = ['on', '>p@ss', '~*', '&*', '+@all'];
    for (const member of servers.members) await member.ask('ACL', 'SETUSER', 'parley', ...rights);
    const link = linkTo({ nodes: `redis://parley:p%40ss@127.0.0.1:${servers.members[0]!.port}` });
    const listener = link.listen();
    const channels = Array.from({ length: 30 }, aTopic);
    await within(
      10_000,
      'it listens',
      Promise.all(channels.map((name) => new Promise<void>((done) => listener.subscribe(name, done)))),
    );
    await eventually(10_000, 'it publishes', async () => {
      for (const channel of channels) await link.publish(channel, 'hello');
      return true;
    });
    const users = new Map<string, number>();
    for (const member of servers.members) {
      for (const client of (await member.ask('CLIENT', 'LIST')).trim().split('\n')) {
        // Other nodes, and redis-cli that asks.
        if (/ flags=\w*[MS]| cmd=client\|list /.test(client)) continue;
        const user = / user=(\S*)/.exec(client)?.[1] ?? '';
        users.set(user, (users.get(user) ?? 0) + 1);
      }
    }
    expect([...users.keys()]).toEqual(['parley']);
    // One to listen and one for commands at each master.
    expect(users.get('parley')).toBeGreaterThanOrEqual(6);
    listener.close();
    link.close();
  });

  test('hears everything that the cluster took, or says after it that there was a gap', async () => {
    await using servers = await startRedisCluster();
    const [sender, receiver] = [linkTo(servers), linkTo(servers)];
    const listener = receiver.listen();
    const channels = Array.from({ length: 30 }, aTopic);
    let told = 0;
    const missing = new Map<string, number>();
    listener.on('message', (_channel, text) => missing.delete(text));
    // Whoever is told reads the log: what was sent until then is not missing any more.
    listener.on('back', () => {
      told += 1;
      for (const [text, at] of missing) if (at < performance.now()) missing.delete(text);
    });
    let [sent, taken] = [0, 0];
    const timer = setInterval(() => {
      const text = String((sent += 1));
      missing.set(text, performance.now());
      sender.publish(channels[sent % channels.length]!, text).then(
        () => (taken += 1),
        () => missing.delete(text),
      );
    }, 2);
    try {
      await within(
        10_000,
        'it listens',
        Promise.all(channels.map((name) => new Promise<void>((done) => listener.subscribe(name, done)))),
      );
      for (const channel of channels.slice(0, 6)) await servers.moveSlot(slotOf(channel));
      for (const slot of [100, 16_000]) {
        const master = await servers.masterOf(slot);
        await master.kill();
        await eventually(
          15_000,
          'a replica takes over',
          async () => (await servers.masterOf(slot)) !== master,
        );
        await master.start();
        await servers.whole();
      }
      const replica = await servers.masterOf(8000);
      await replica.ask('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await eventually(15_000, 'it listens everywhere', () => listener.isListening());
      const enough = taken + 500;
      await eventually(10_000, 'it goes on', () => taken > enough);
    } finally {
      clearInterval(timer);
    }
    await eventually(5000, `nothing of ${taken} is missing`, () => missing.size === 0);
    expect(told).toBeGreaterThan(3);
    expect(taken).toBeGreaterThan(1000);
    listener.close();
    for (const link of [sender, receiver]) link.close();
  }, 60_000);
});

import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../support/deadline.js';
import type { Way, Wire } from '../support/wire.js';
import type { RedisServer } from '../support/services/redis.js';
import type { ClusterMember, RedisClusterServers } from '../support/services/redis-cluster.js';
import type { Cluster } from './cluster.js';
import type { Gate } from './gate.js';
import type { AppNode } from './node.js';
import type { Random } from './random.js';

const REDIS_FAULTS = ['Redis killed', 'Redis stopped for 3 s', 'Redis silent'] as const;
const SHARD_FAULTS = ['Redis master killed', 'Redis master stopped for 3 s', 'Redis slots moved'] as const;
const OTHER_FAULTS = [
  'process killed',
  'process killed between commit and publish',
  'Postgres restarted',
  'Postgres silent',
  'sockets cut',
  'clients frozen for 5 s',
] as const;
/** What happens to a server of several processes: no fault, for nobody may notice. */
const ROLLS = ['processes replaced'] as const;
export const FAULTS = [...REDIS_FAULTS, ...SHARD_FAULTS, ...OTHER_FAULTS, ...ROLLS];
export type Fault = (typeof FAULTS)[number];

/** What can happen to a cluster. On a Redis Cluster that is all to that: the rest is the same whoever carries. */
export const faultsOf = ({ redis, isOneServer }: Cluster): readonly Fault[] => {
  if (isOneServer) return ROLLS;
  return 'members' in redis ? SHARD_FAULTS : [...REDIS_FAULTS, ...OTHER_FAULTS];
};

/** What faults are made of. */
export interface Victims {
  readonly cluster: Cluster;
  /** Those of the clients. */
  readonly gates: readonly Gate[];
  /** Where a Redis Cluster keeps the channels of the rooms. */
  readonly slots: readonly number[];
}

/** Breaks something, and mends it. */
export async function inject(
  fault: Fault,
  { cluster, gates, slots }: Victims,
  random: Random,
): Promise<void> {
  const { postgres } = cluster;
  switch (fault) {
    case 'Redis killed': {
      const redis = cluster.redis as RedisServer;
      await redis.kill();
      await pause(random.between(0, 2000));
      await redis.start();
      break;
    }
    case 'Redis stopped for 3 s': {
      const redis = cluster.redis as RedisServer;
      redis.pause();
      await pause(3000);
      redis.resume();
      break;
    }
    case 'Redis master killed':
      await failOver(cluster.redis as RedisClusterServers, random.pick(slots), async (master) => {
        await master.kill();
        return () => master.start();
      });
      break;
    case 'Redis master stopped for 3 s':
      await failOver(cluster.redis as RedisClusterServers, random.pick(slots), async (master) => {
        master.pause();
        await pause(3000);
        return () => {
          master.resume();
        };
      });
      break;
    case 'Redis slots moved':
      for (const slot of slots) await (cluster.redis as RedisClusterServers).moveSlot(slot);
      break;
    case 'process killed': {
      const node = victim(cluster, random);
      await node.kill();
      await pause(random.between(0, 1000));
      await node.start();
      for (const gate of gates) gate.leadHome();
      break;
    }
    case 'process killed between commit and publish': {
      const node = victim(cluster, random);
      await node.killBetweenCommitAndPublish();
      await node.start();
      for (const gate of gates) gate.leadHome();
      break;
    }
    case 'processes replaced':
      await victim(cluster, random).roll();
      break;
    case 'Postgres restarted':
      await postgres.kill();
      await pause(random.between(0, 1000));
      await postgres.start();
      break;
    case 'Redis silent':
      await fallSilent(random.pick(cluster.wires.redis), random);
      break;
    case 'Postgres silent':
      await fallSilent(random.pick(cluster.wires.postgres), random);
      break;
    case 'sockets cut':
      for (const gate of random.chance(0.3) ? gates : random.sample(gates, gates.length / 2)) gate.cut();
      break;
    case 'clients frozen for 5 s': {
      const frozen = random.sample(gates, 8);
      for (const gate of frozen) gate.freeze();
      await pause(5000);
      for (const gate of frozen) gate.thaw();
      break;
    }
  }
}

/** Connections of one process, those that it has or new ones too, carry nothing in one direction or both, for longer than it waits. */
async function fallSilent(wire: Wire, random: Random): Promise<void> {
  const ways = random.pick<readonly Way[]>([['asking'], ['answering'], ['asking', 'answering']]);
  wire.silence({ ways, all: random.chance(0.5) });
  await pause(random.between(4000, 8000));
  wire.resume();
}

/** Takes the master of a slot away until its replica has its place, and gives it back as a replica. */
async function failOver(
  redis: RedisClusterServers,
  slot: number,
  take: (master: ClusterMember) => Promise<() => unknown>,
): Promise<void> {
  const master = await redis.masterOf(slot);
  const giveBack = await take(master);
  await eventually(20_000, 'a replica takes over', async () => (await redis.masterOf(slot)) !== master);
  await giveBack();
  await redis.whole();
}

/** One that runs. */
function victim({ nodes }: Cluster, random: Random): AppNode {
  return random.pick(nodes.filter(({ port }) => port !== undefined));
}

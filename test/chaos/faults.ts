import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import type { Gate } from './gate.js';
import type { AppNode } from './node.js';
import type { Random } from './random.js';

export const FAULTS = [
  'Redis killed',
  'Redis stopped for 3 s',
  'process killed',
  'process killed between commit and publish',
  'Postgres restarted',
  'sockets cut',
  'clients frozen for 5 s',
] as const;
export type Fault = (typeof FAULTS)[number];

/** What faults are made of. */
export interface Victims {
  readonly cluster: Cluster;
  /** Those of the clients. */
  readonly gates: readonly Gate[];
}

/** Breaks something, and mends it. */
export async function inject(fault: Fault, { cluster, gates }: Victims, random: Random): Promise<void> {
  const { redis, postgres } = cluster;
  switch (fault) {
    case 'Redis killed':
      await redis.kill();
      await pause(random.between(0, 2000));
      await redis.start();
      break;
    case 'Redis stopped for 3 s':
      redis.pause();
      await pause(3000);
      redis.resume();
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
    case 'Postgres restarted':
      await postgres.kill();
      await pause(random.between(0, 1000));
      await postgres.start();
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

/** One that runs. */
function victim({ nodes }: Cluster, random: Random): AppNode {
  return random.pick(nodes.filter(({ port }) => port !== undefined));
}

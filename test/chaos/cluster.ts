import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_RATES } from '../support/rates.js';
import { startPostgres, type PostgresServer } from '../support/services/postgres.js';
import { startRedis, type RedisServer } from '../support/services/redis.js';
import { startRedisCluster, type RedisClusterServers } from '../support/services/redis-cluster.js';
import { Wire } from '../support/wire.js';
import { Gate } from './gate.js';
import { AppNode } from './node.js';

/** What carries the wake-ups. */
export type Carrier = RedisServer | RedisClusterServers;

/** What a cluster is made of: without anything said, two servers of one process each, on one Redis. */
export interface Making {
  readonly redisCluster?: boolean;
  /** The processes of the one server that there is. */
  readonly workers?: number;
}

/** Two servers, or one of several processes, on one Postgres, one Redis or Redis Cluster, and one folder, all of them ours to break. */
export interface Cluster extends AsyncDisposable {
  readonly postgres: PostgresServer;
  readonly redis: Carrier;
  readonly nodes: readonly AppNode[];
  /** Between each server and what it needs. None on a Redis Cluster, whose nodes name each other. */
  readonly wires: { readonly postgres: readonly Wire[]; readonly redis: readonly Wire[] };
  /** Whether they are processes of one server. */
  readonly isOneServer: boolean;
  /** A way in for one client: to its home, or to another one while that does not listen. */
  gate(home: number): Promise<Gate>;
}

export async function startCluster(making: Making = {}): Promise<Cluster> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await start(closers, close, making);
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
  { redisCluster = false, workers }: Making,
): Promise<Cluster> {
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-chaos-'));
  closers.push(() => rm(dataDir, { recursive: true, force: true }));
  const postgres = await startPostgres();
  closers.push(async () => postgres[Symbol.asyncDispose]());
  const redis: Carrier = redisCluster ? await startRedisCluster() : await startRedis();
  closers.push(async () => redis[Symbol.asyncDispose]());
  const logFile = process.env['CHAOS_LOG'] ?? join(dataDir, 'log');
  const env = {
    HOST: '127.0.0.1',
    PORT: '0',
    DATA_DIR: dataDir,
    // A silent connection is given up before the silence ends.
    DATABASE_TIMEOUT: '3s',
    ...('members' in redis && { REDIS_CLUSTER_NODES: redis.nodes }),
    JWT_SECRET: 'a secret that the processes of one cluster share',
    SIGN_UP_LIMIT_PER_ADDRESS: '100000',
    ...NO_RATES,
    WORKERS: String(workers ?? 1),
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'warn',
  };
  const names = workers === undefined ? ['A', 'B'] : ['A'];
  const wireTo = async (url: string): Promise<Wire> => {
    const wire = await Wire.to(url);
    closers.push(async () => wire[Symbol.asyncDispose]());
    return wire;
  };
  const wires = { postgres: [] as Wire[], redis: [] as Wire[] };
  const nodes: AppNode[] = [];
  for (const name of names) {
    const toPostgres = await wireTo(postgres.url);
    wires.postgres.push(toPostgres);
    const through: Record<string, string> = { DATABASE_URL: toPostgres.through(postgres.url) };
    if (!('members' in redis)) {
      const toRedis = await wireTo(redis.url);
      wires.redis.push(toRedis);
      through['REDIS_URL'] = toRedis.through(redis.url);
    }
    nodes.push(new AppNode({ name, env: { ...env, ...through }, logFile }));
  }
  for (const node of nodes) {
    closers.push(() => node.kill());
    await node.start();
  }
  return {
    postgres,
    redis,
    nodes,
    wires,
    isOneServer: workers !== undefined,
    gate: async (home) => {
      const at = (i: number): number | undefined => nodes[i % nodes.length]!.port;
      const gate = await Gate.open(() => at(home) ?? at(home + 1));
      closers.push(() => gate[Symbol.asyncDispose]());
      return gate;
    },
    [Symbol.asyncDispose]: close,
  };
}

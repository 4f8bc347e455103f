import { Cluster } from 'ioredis';
import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import { ClusterListener } from './redis-cluster-listener.js';
import { COMMAND_MS, KEEP_ALIVE_MS, retryDelay, SILENCE_MS, type RedisLink } from './redis-link.js';
import { isUnknownCommand } from './redis-shard.js';

/** Milliseconds between looks at which node has which slots. A node that is asked in vain tells sooner. */
const REFRESH_MS = 2000;
/** How often a command is tried again, every 100 ms, while its slot has no master. */
const REDIRECTIONS = 5;

/**
 * A Redis Cluster, found through `nodes`, with a connection for commands to each node, and one to listen to each master. Messages go by
 * shard channels, which only the nodes of a slot carry.
 */
export function connectRedisCluster(
  { nodes, username, password, tls }: NonNullable<Config['redisCluster']>,
  logger: Logger,
): RedisLink {
  const access = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
  };
  const commands = new Cluster([...nodes], {
    redisOptions: {
      ...access,
      commandTimeout: COMMAND_MS,
      connectTimeout: SILENCE_MS,
      socketTimeout: SILENCE_MS,
      keepAlive: KEEP_ALIVE_MS,
    },
    // With an offline queue a publish would wait for as long as the cluster is down.
    enableOfflineQueue: false,
    maxRedirections: REDIRECTIONS,
    clusterRetryStrategy: retryDelay,
    slotsRefreshInterval: REFRESH_MS,
    // Names stay names, since certificates are made out to them.
    dnsLookup: (host, found) => {
      found(null, host);
    },
  });
  commands.on('error', (err: Error) => {
    logger.warn({ err }, 'redis: the cluster does not answer');
  });
  commands.on('node error', (err: Error, node: string) => {
    logger.debug({ err, node }, 'redis: a node of the cluster does not answer');
  });
  return {
    commands,
    publish: async (channel, text) => {
      try {
        return await commands.spublish(channel, text);
      } catch (error) {
        // The node is older than Redis 7, and so whoever listens there does it by plain channels.
        if (isUnknownCommand(error)) return await commands.publish(channel, text);
        throw error;
      }
    },
    listen: () => new ClusterListener(commands, access, logger),
    close: () => {
      commands.disconnect();
    },
  };
}

import type { Config } from '../config/config.js';
import type { Logger } from '../observability/logger.js';
import { RedisBus } from './bus-redis.js';
import { connectRedisCluster } from './redis-cluster.js';
import type { RedisLink } from './redis-link.js';
import { connectRedis } from './redis-single.js';

/** The link to the Redis or the Redis Cluster that is configured, and the bus over it; undefined where none is. */
export function linkToRedis(
  { redisUrl, redisCluster }: Pick<Config, 'redisUrl' | 'redisCluster'>,
  logger: Logger,
): { readonly link: RedisLink; readonly bus: RedisBus } | undefined {
  const link =
    redisCluster === undefined
      ? redisUrl && connectRedis(redisUrl, logger)
      : connectRedisCluster(redisCluster, logger);
  return link ? { link, bus: new RedisBus(link, logger) } : undefined;
}

import { inject } from 'vitest';
import { makeDatabase, type Migrate, type TestDatabase } from './services/databases.js';
import { locationOf } from './services/service.js';

export { type Migrate, type TestDatabase } from './services/databases.js';
export { FOUND, startClamd, type ClamdServer } from './services/clamd.js';
export { clockOff } from './services/faketime.js';
export { startNginx, type Nginx } from './services/nginx.js';
export { startPostgres, type PostgresServer } from './services/postgres.js';
export { startRedis, type RedisServer } from './services/redis.js';
export { startRedisCluster, type ClusterMember, type RedisClusterServers } from './services/redis-cluster.js';
export { isMissing, locationOf, type Service } from './services/service.js';

/**
 * What this run has beside the program. A suite that needs one of them is declared
 * `describe.skipIf(isMissing(services.redis))`; the reason is printed at the end of the run.
 */
export const services = inject('services');

/** A fresh database on the Postgres of the tests: migrated by `migrate`, or empty without it. */
export async function createDatabase(migrate?: Migrate): Promise<TestDatabase> {
  return makeDatabase(locationOf(services.postgres), services.run, migrate);
}

import { randomBytes } from 'node:crypto';
import { makeDatabase, withClient } from '../../test/support/services/databases.ts';
import { startPostgres } from '../../test/support/services/postgres.ts';
import { startRedis } from '../../test/support/services/redis.ts';

/**
 * A Postgres and a Redis of the bench's own, started when they are first asked for. They are gone with it, however it ends.
 */
export class Services {
  #run = randomBytes(4).toString('hex');
  #settings;
  #postgres;
  #redis;

  /** `settings` for Postgres beside its own defaults, by which a commit is on the disk before it is answered. */
  constructor(settings = []) {
    this.#settings = settings;
  }

  /** The superuser's address of the database `postgres`. */
  async postgresUrl() {
    this.#postgres ??= startPostgres(this.#settings);
    return (await this.#postgres).url;
  }

  async redisUrl() {
    this.#redis ??= startRedis();
    return (await this.#redis).url;
  }

  /** An empty database: its `url`, and `drop` for when it is done with. */
  async createDatabase() {
    const database = await makeDatabase(await this.postgresUrl(), this.#run);
    return { url: database.url, drop: () => database[Symbol.asyncDispose]() };
  }

  /** The answer's rows. */
  query(url, text, values = []) {
    return withClient(url, async (client) => (await client.query(text, values)).rows);
  }

  async stop() {
    for (const service of [this.#postgres, this.#redis]) await (await service)?.[Symbol.asyncDispose]();
  }
}

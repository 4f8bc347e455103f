import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { DeadlineError, eventually, within } from '../support/deadline.js';
import {
  createDatabase,
  isMissing,
  locationOf,
  services,
  startPostgres,
  startRedis,
} from '../support/services.js';
import { makeDatabase, withClient } from '../support/services/databases.js';

describe.skipIf(isMissing(services.postgres))('A test database', () => {
  // A template of these tests' own, so that nobody else is handed these tables.
  const run = `${services.run}_services`;
  let migrations = 0;
  const migrate = async (url: string): Promise<void> => {
    migrations++;
    await withClient(url, (client) => client.query('create table things (id int)'));
  };

  test('is a fresh copy of a template that is migrated once', async () => {
    const admin = locationOf(services.postgres);
    await using first = await makeDatabase(admin, run, migrate);
    await using second = await makeDatabase(admin, run, migrate);
    await withClient(first.url, (client) => client.query('insert into things values (1)'));
    const rows = await withClient(
      second.url,
      async (client) => (await client.query('table things')).rowCount,
    );
    expect(rows).toBe(0);
    expect(migrations).toBe(1);
  });

  test('is empty without migrations, and gone when it is disposed of while somebody is connected', async () => {
    const database = await createDatabase();
    await withClient(database.url, async (client) => {
      client.on('error', () => undefined);
      expect((await client.query("select from pg_tables where schemaname = 'public'")).rowCount).toBe(0);
      await database[Symbol.asyncDispose]();
    }).catch(() => undefined);
    await expect(withClient(database.url, (client) => client.query('select 1'))).rejects.toThrow(
      'does not exist',
    );
  });
});

describe.skipIf(isMissing(services.redisServer))("A Redis of one's own", () => {
  test('comes back empty on the same port after it was killed', async () => {
    await using server = await startRedis();
    await withRedis(server.url, (redis) => redis.set('key', 'value'));
    await server.kill();
    await expect(withRedis(server.url, (redis) => redis.ping())).rejects.toThrow();
    await server.start();
    expect(await withRedis(server.url, (redis) => redis.get('key'))).toBeNull();
  });

  test('hangs while it is paused', async () => {
    await using server = await startRedis();
    await withRedis(server.url, async (redis) => {
      server.pause();
      const pong = redis.ping();
      await expect(within(200, 'an answer', pong)).rejects.toThrow(DeadlineError);
      server.resume();
      expect(await pong).toBe('PONG');
    });
  });

  test('can be thrown away while it is paused', async () => {
    const server = await startRedis();
    server.pause();
    await server[Symbol.asyncDispose]();
    await expect(withRedis(server.url, (redis) => redis.ping())).rejects.toThrow();
  });
});

describe.skipIf(isMissing(services.postgres) || process.env['TEST_DATABASE_URL'])(
  "A Postgres of one's own",
  () => {
    test('keeps what was committed when it is killed and started again', async () => {
      await using server = await startPostgres();
      await withClient(server.url, (client) => client.query('create table things as select 1 as id'));
      await server.kill();
      await expect(withClient(server.url, (client) => client.query('select 1'))).rejects.toThrow();
      await server.start();
      const rows = await withClient(
        server.url,
        async (client) => (await client.query('table things')).rowCount,
      );
      expect(rows).toBe(1);
    });
  },
);

test('Processes and files are gone when their owner is killed', async () => {
  const script = `
    import { openSandbox } from './test/support/services/sandbox.ts';
    const sandbox = await openSandbox();
    const { pid } = await sandbox.start(process.execPath, ['--eval', 'setInterval(() => {}, 1000)']);
    console.log(JSON.stringify({ pid, directory: sandbox.directory }));
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await within(20_000, 'its first line', once(createInterface(owner.stdout), 'line'))) as [
    string,
  ];
  const { pid, directory } = JSON.parse(line) as { pid: number; directory: string };
  expect(existsSync(directory)).toBe(true);
  owner.kill('SIGKILL');
  await eventually(10_000, 'the directory is gone', () => !existsSync(directory));
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { App } from '../../src/app.js';
import { roomTopic } from '../../src/events/bus.js';
import { RedisBus } from '../../src/events/bus-redis.js';
import { connectRedis } from '../../src/events/redis-single.js';
import { createLogger } from '../../src/observability/logger.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { isMissing, services, startRedis, type RedisServer } from '../support/services.js';
import { Wire, type Way } from '../support/wire.js';

const logger = createLogger('silent');
const bothWays: readonly Way[] = ['asking', 'answering'];
const without = isMissing(services.postgres) || isMissing(services.redisServer);

describe.skipIf(isMissing(services.redisServer))('A bus whose Redis falls silent', () => {
  let redis: RedisServer;
  let wire: Wire;

  beforeAll(async () => {
    redis = await startRedis();
    wire = await Wire.to(redis.url);
  });
  afterAll(async () => {
    await wire[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  test.each([{ ways: bothWays }, ...bothWays.map((way) => ({ ways: [way] }))])(
    'connects anew, hears what is published from then on, and tells of the gap ($ways)',
    async ({ ways }) => {
      const links = [connectRedis(redis.url, logger), connectRedis(wire.through(redis.url), logger)] as const;
      const [here, there] = [new RedisBus(links[0], logger), new RedisBus(links[1], logger)];
      const [heard, back] = [vi.fn(), vi.fn()];
      there.onReconnect(back);
      const topic = roomTopic(randomUUID());
      await there.subscribe(topic, heard);
      await eventually(10_000, 'connected', () => Promise.all([here.ping(), there.ping()]).then(() => true));
      wire.silence({ ways });
      await eventually(5000, 'it says that it is away', () =>
        there.ping().then(
          () => false,
          () => true,
        ),
      );
      await eventually(20_000, 'the gap is told', () => back.mock.calls.length > 0);
      await eventually(10_000, 'it is heard', () => {
        here.publish(topic, { type: 'event', seq: 1 });
        return heard.mock.calls.length > 0;
      });
      await eventually(10_000, 'it carries', () => there.ping().then(() => true));
      for (const bus of [here, there]) await bus.close();
      for (const link of links) link.close();
      wire.resume();
    },
    60_000,
  );
});

describe.skipIf(without)('A server whose Redis is silent', () => {
  let redis: RedisServer;
  let wire: Wire;
  let place: Place;
  let app: App;
  let ada: Client;

  beforeAll(async () => {
    redis = await startRedis();
    wire = await Wire.to(redis.url);
    place = await makePlace('postgres');
    app = await startOn(place, { REDIS_URL: wire.through(redis.url), METRICS_PORT: '0' });
    ada = await signUp(app.url);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
    await wire[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  const readyz = async (): Promise<{ status: number; body: any }> => {
    const answer = await fetch(`${app.url}/readyz`);
    return { status: answer.status, body: await answer.json() };
  };

  test('serves on, is ready, and names what is degraded, there and in its metrics', async () => {
    await eventually(10_000, 'all is well', async () => (await readyz()).body.status === 'ok');
    const roomId = await ada.createRoom();
    const client = live(ada);
    const feed = subscribe(client, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    wire.silence({ all: true });
    const { body } = await eventually(15_000, 'it says so', async () => {
      const said = await readyz();
      expect(said.status).toBe(200);
      return said.body.status === 'degraded' && said;
    });
    expect(body).toMatchObject({ database: 'ok', bus: 'down', storage: 'ok' });
    expect(await (await fetch(app.metricsUrl!)).text()).toMatch(/parley_checks_failing\{check="bus"\} 1/);
    await within(5000, 'a post', ada.post(roomId, 'one'));
    await feed.take(2, 'roomEvents');
    wire.resume();
    await eventually(20_000, 'it is over', async () => (await readyz()).body.status === 'ok');
    await client.dispose();
  }, 60_000);

  test('checks nothing more often than once a second', async () => {
    const commands = async (): Promise<number> => {
      const { default: Redis } = await import('ioredis');
      const direct = new Redis.Redis(redis.url);
      const stats = await direct.info('commandstats');
      direct.disconnect();
      return Number(/cmdstat_ping:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    };
    const before = await commands();
    await Promise.all(Array.from({ length: 200 }, readyz));
    expect((await commands()) - before).toBeLessThan(50);
  });
});

describe.skipIf(isMissing(services.redisServer))('A Redis user without rights to channels', () => {
  test.each([
    ['listen', 'resetchannels'],
    ['publish', 'allchannels -publish'],
  ])(
    'who may not %s is named, until the right is there',
    async (_what, rights) => {
      await using redis = await startRedis();
      const admin = connectRedis(redis.url, logger);
      await eventually(5000, 'connected', () => admin.commands.ping());
      const acl = (...rule: string[]) => admin.commands.call('ACL', 'SETUSER', 'parley', ...rule);
      await acl('on', '>secret', '~*', '+@all', ...rights.split(' '));
      const link = connectRedis(redis.url.replace('//', '//parley:secret@'), logger);
      const bus = new RedisBus(link, logger);
      const heard = vi.fn();
      const topic = roomTopic(randomUUID());
      const subscribed = bus.subscribe(topic, heard);
      await eventually(10_000, 'it is named', async () => {
        bus.publish(topic, { type: 'event', seq: 1 });
        return bus.ping().then(
          () => false,
          (error: unknown) => /listened|channels/.test(String(error)),
        );
      });
      await acl('allchannels', '+publish');
      await within(10_000, 'it listens', subscribed);
      await eventually(10_000, 'it is heard', () => {
        bus.publish(topic, { type: 'event', seq: 1 });
        return heard.mock.calls.length > 0;
      });
      await eventually(5000, 'it is well', () => bus.ping().then(() => true));
      await bus.close();
      link.close();
      admin.close();
    },
    40_000,
  );
});

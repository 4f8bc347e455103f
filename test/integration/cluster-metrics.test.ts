import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environmentOf, makePlace, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { Command } from '../support/command.js';
import { connect } from '../support/connected-socket.js';
import { eventually } from '../support/deadline.js';
import { ROOM_EVENTS, subscribe } from '../support/live.js';
import { Scrape } from '../support/metrics.js';
import { isMissing, services } from '../support/services.js';
import { childrenOf } from '../support/system.js';

describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))(
  'The metrics of a program of two processes',
  () => {
    let place: Place;
    let command: Command;
    let user: Client;
    let address: string;

    beforeAll(async () => {
      place = await makePlace('postgres');
      const env = environmentOf(place, { WORKERS: '2', METRICS_PORT: '0', LOG_LEVEL: 'info' });
      command = new Command('main', [], { cwd: place.dataDir, env });
      user = await signUp(await command.ready());
      address = await eventually(5000, 'the address of the metrics', () => {
        const line = command.stderr.split('\n').find((text) => text.includes('metrics are served'));
        return line === undefined ? undefined : (JSON.parse(line) as { url: string }).url;
      });
    });
    afterAll(async () => {
      await command[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    });

    const scrapeWith = (found: (now: Scrape) => boolean): Promise<Scrape> =>
      eventually(20_000, 'the metrics say so', async () => {
        const now = await Scrape.of(address);
        return found(now) ? now : undefined;
      });

    test('are served once, for both, and go on when one of them is killed: what was counted stays, what it had goes', async () => {
      expect(command.stderr.match(/metrics are served/g)).toHaveLength(1);
      const roomId = await user.createRoom();
      const sockets = [];
      for (let i = 0; i < 4; i += 1) sockets.push(await connect(user));
      for (const { client } of sockets)
        await subscribe(client, ROOM_EVENTS, { roomId }).take(1, 'roomEvents');
      // Handed out in turn, so they are on both.
      const before = await scrapeWith((now) => now.get('parley_subscribers{transport="ws"}') === 4);
      expect(before.get('parley_groups')).toBe(2);
      expect(before.get('parley_sockets_opened_total')).toBe(4);
      expect(before.get('parley_deliveries_total')).toBe(4);

      const [first] = await childrenOf(command.pid);
      process.kill(first!, 'SIGKILL');
      const after = await scrapeWith((now) => now.get('parley_subscribers{transport="ws"}') === 2);
      expect(after.get('parley_groups')).toBe(1);
      expect(after.get('parley_sockets_opened_total')).toBe(4);
      expect(after.get('parley_deliveries_total')).toBe(4);
      for (const name of [...before.names].filter((one) => before.text.includes(`# TYPE ${one} counter\n`)))
        for (const series of before.seriesOf(name))
          expect(after.grown(series, before), series).toBeGreaterThanOrEqual(0);

      // The one in its place counts on.
      await eventually(20_000, 'another one in its place', async () => {
        const pids = await childrenOf(command.pid);
        return pids.length === 2 && !pids.includes(first!);
      });
      await scrapeWith((now) => {
        void fetch(`${user.url}/livez`).then((response) => response.text());
        return now.grown('parley_http_requests_total{route="/livez",status="200"}', before) > 5;
      });
      for (const { client } of sockets) await client.dispose();
    });

    test('count what processes have counted since they were last asked, when they are replaced', async () => {
      const before = await Scrape.of(address);
      const old = await childrenOf(command.pid);
      // Each by a connection of its own, so that both processes get some.
      const headers = { connection: 'close' };
      for (let i = 0; i < 20; i += 1) await (await fetch(`${user.url}/nowhere`, { headers })).text();
      process.kill(command.pid, 'SIGHUP');
      await eventually(30_000, 'others in their places', async () => {
        const pids = await childrenOf(command.pid);
        return pids.length === 2 && !pids.some((pid) => old.includes(pid));
      });
      const answered = (now: Scrape): number =>
        now.grown('parley_http_requests_total{route="other",status="404"}', before);
      expect(answered(await scrapeWith((now) => answered(now) >= 20))).toBe(20);
    });
  },
);

import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { environmentOf, makePlace, type Place } from '../support/app.js';
import { childrenOf, isRunning, memoryOf } from '../support/system.js';
import { signUp, type Client } from '../support/client.js';
import { Command } from '../support/command.js';
import { closed, connect, type ConnectedSocket } from '../support/connected-socket.js';
import { eventually } from '../support/deadline.js';
import { EventStream } from '../support/event-stream.js';
import { ROOM_EVENTS, subscribe } from '../support/live.js';
import { isMissing, services } from '../support/services.js';
import { multipart, oneFile } from '../support/uploads.js';

const WORKERS = 2;

const POST = `mutation ($id: ID!) { postMessage(input: { roomId: $id, body: "under way" }) { message { id } } }`;

/** A request of which half has arrived, on a connection that its client would keep for good. */
class HalfSent {
  private readonly request: ClientRequest;
  private readonly body: string;
  private readonly answered: Promise<IncomingMessage[]>;

  constructor(user: Client, roomId: string) {
    this.body = JSON.stringify({ query: POST, variables: { id: roomId } });
    this.request = request(`${user.url}/graphql`, {
      method: 'POST',
      agent: new Agent({ keepAlive: true }),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(this.body),
        ...user.headers(),
      },
    });
    this.answered = once(this.request, 'response') as Promise<IncomingMessage[]>;
    this.request.write(this.body.slice(0, 40));
  }

  /** Sends the rest. Answers status, the header that tells what becomes of the connection, and the message's id. */
  async finish(): Promise<{ status: number | undefined; connection: string | undefined; id: string }> {
    this.request.end(this.body.slice(40));
    const [response] = await this.answered;
    const { data } = JSON.parse(await text(response!)) as { data: Record<string, any> };
    return {
      status: response!.statusCode,
      connection: response!.headers.connection,
      id: data['postMessage'].message.id as string,
    };
  }
}

/** By a connection of its own that it would keep, as a balancer's or a new client's. Gives up after five seconds. */
async function get(url: string): Promise<{ status: number | undefined; connection: string | undefined }> {
  const sent = request(url, {
    agent: false,
    headers: { connection: 'keep-alive' },
    signal: AbortSignal.timeout(5000),
  }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  await text(response);
  sent.destroy();
  return { status: response.statusCode, connection: response.headers.connection };
}

const follow = (user: Client, roomId: string): Promise<EventStream> =>
  EventStream.open(`${user.url}/graphql`, {
    method: 'POST',
    headers: { accept: 'text/event-stream', 'content-type': 'application/json', ...user.headers() },
    body: JSON.stringify({ query: ROOM_EVENTS, variables: { roomId } }),
  });

describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))(
  'A program of two processes',
  () => {
    let place: Place;
    const running: Command[] = [];

    beforeEach(async () => {
      place = await makePlace('postgres');
    });
    afterEach(async () => {
      for (const command of running.splice(0)) await command[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    });

    const launch = (more: Record<string, string> = {}): Command => {
      const env = environmentOf(place, { WORKERS: String(WORKERS), LOG_LEVEL: 'info', ...more });
      const command = new Command('main', [], { cwd: place.dataDir, env });
      running.push(command);
      return command;
    };

    /** What it has logged so far with this message. */
    const logged = ({ stderr }: Command, message: string): Record<string, unknown>[] =>
      stderr
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ msg }) => msg === message);

    const rolls = (command: Command): number => logged(command, 'the processes are replaced').length;

    test('serves on one port, in turn; one that is killed takes its own sockets along and is replaced', async () => {
      const command = launch();
      const url = await command.ready();
      expect(command.stdout.match(/listening/g)).toHaveLength(1);
      const before = await childrenOf(command.pid);
      expect(before).toHaveLength(WORKERS);
      // The one that hands connections out has loaded nothing of what serves.
      expect(await memoryOf(command.pid)).toBeLessThan(0.75 * (await memoryOf(before[0]!)));

      const served = (): number => new Set(logged(command, 'request').map(({ pid }) => pid)).size;
      await eventually(10_000, 'both serve', async () => {
        // Each by a connection of its own, which fetch may keep.
        await get(`${url}/`);
        return served() === 2;
      });
      const user = await signUp(url);
      const roomId = await user.createRoom();
      const sockets: ConnectedSocket[] = [];
      for (let i = 0; i < 4; i += 1) sockets.push(await connect(user));
      const feeds = sockets.map(({ client }) => subscribe(client, ROOM_EVENTS, { roomId }));
      for (const feed of feeds) await feed.take(1, 'roomEvents');
      process.kill(before[0]!, 'SIGKILL');
      await eventually(
        10_000,
        'half of the sockets are lost',
        () => sockets.filter(({ closes }) => closes.length > 0).length === 2,
      );
      expect(sockets.flatMap(({ closes }) => closes)).toEqual([1006, 1006]);

      await user.post(roomId, 'the others hear of it');
      for (const [i, { closes }] of sockets.entries())
        if (closes.length === 0) await feeds[i]!.take(2, 'roomEvents');
      const after = await eventually(30_000, 'another one in its place', async () => {
        const pids = await childrenOf(command.pid);
        return pids.length === WORKERS && !pids.includes(before[0]!) ? pids : undefined;
      });
      expect(after).toContain(before[1]);
      await eventually(30_000, 'both serve', async () => {
        // One that has just started shows by its request. Those of probes are not logged at this level.
        await get(`${url}/`);
        return served() === 3;
      });
      expect(logged(command, 'a process ended by itself: another one is started')).toMatchObject([
        { worker: before[0], reason: 'a process ended with SIGKILL' },
      ]);
      command.signal('SIGTERM');
      expect(await command.end()).toBe(0);
    }, 90_000);

    test('starts again all of its processes when all of them are killed, on the same port', async () => {
      const command = launch();
      const url = await command.ready();
      const before = await childrenOf(command.pid);
      for (const pid of before) process.kill(pid, 'SIGKILL');
      await eventually(40_000, 'it serves again', async () => (await get(`${url}/readyz`)).status === 200);
    }, 60_000);

    test('tries again until it can start another one for one that was killed', async () => {
      const command = launch();
      const url = await command.ready();
      const [first, second] = await childrenOf(command.pid);
      const idFile = join(place.dataDir, 'files', 'store-id');
      await rename(idFile, `${idFile}-away`);
      process.kill(first!, 'SIGKILL');
      const failed = (): unknown[] => logged(command, 'a process ended by itself: another one is started');
      await eventually(40_000, 'it could not start two times', () => failed().length >= 3);
      expect(failed()[2]).toMatchObject({ reason: expect.stringContaining('it has no store id') });
      expect((await get(`${url}/readyz`)).status).toBe(200);

      await rename(`${idFile}-away`, idFile);
      await eventually(40_000, 'two processes serve', async () => {
        await get(`${url}/`);
        const serving = new Set(logged(command, 'request').map(({ pid }) => pid));
        serving.delete(first);
        return serving.size === 2;
      });
      expect(await childrenOf(command.pid)).toContain(second);
    }, 90_000);

    test('is replaced on SIGHUP while it serves: what is under way finishes, sockets are let go once', async () => {
      const command = launch();
      const url = await command.ready();
      const old = await childrenOf(command.pid);
      const user = await signUp(url);
      const roomId = await user.createRoom();
      const socket = await connect(user);
      const stream = await follow(user, roomId);
      await stream.next(1);
      const halves = [new HalfSent(user, roomId), new HalfSent(user, roomId)];
      const upload = await multipart(user).head(...oneFile(roomId));
      await upload.beginFile('file', 'slow.txt', 'text/plain');
      await upload.raw('a line\n'.repeat(10_000));
      // Every process that has something under way has taken it.
      for (let i = 0; i < 2 * WORKERS; i += 1) await get(`${url}/livez`);

      command.signal('SIGHUP');
      expect(await closed(socket, 30_000)).toBe(1012);
      await stream.end();
      expect(stream.ended).toBe('cut');

      // The old ones have closed; whoever comes now comes to the next generation, which is ready.
      const fresh = (await childrenOf(command.pid)).filter((pid) => !old.includes(pid));
      expect(fresh).toHaveLength(WORKERS);
      expect(await get(`${url}/readyz`)).toMatchObject({ status: 200, connection: 'keep-alive' });
      const again = await connect(user);
      const ids = [(await user.post(roomId, 'meanwhile')).id];

      for (const half of halves) {
        const { status, connection, id } = await half.finish();
        expect([status, connection]).toEqual([200, 'close']);
        ids.push(id);
      }
      await upload.raw('a line\n'.repeat(10_000));
      await upload.raw('\r\n');
      const answer = await upload.end();
      expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
      expect(JSON.parse(answer.body).data.uploadFile.file.size).toBe(140_000);

      await eventually(10_000, 'the old ones are gone', () => !old.some(isRunning));
      await eventually(5000, 'the roll is over', () => rolls(command) === 1);
      expect(again.closes).toEqual([]);
      const { room } = await user.run(
        `query ($id: ID!) { room(id: $id) { messages(last: 10) { edges { node { id } } } files { totalCount } } }`,
        { id: roomId },
      );
      expect(room.messages.edges.map(({ node }: { node: { id: string } }) => node.id).sort()).toEqual(
        ids.sort(),
      );
      expect(room.files.totalCount).toBe(1);
      expect(logged(command, 'a process ended by itself: another one is started')).toEqual([]);
      command.signal('SIGTERM');
      expect(await closed(again)).toBe(1012);
      expect(await command.end()).toBe(0);
    }, 60_000);

    test('is replaced once more by SIGHUPs that come while it is being replaced', async () => {
      const command = launch();
      const url = await command.ready();
      for (let i = 0; i < 3; i += 1) {
        command.signal('SIGHUP');
        await eventually(20_000, 'it begins', () => logged(command, 'replacing the processes').length > 0);
      }
      await eventually(40_000, 'two rolls', () => rolls(command) === 2);
      expect((await childrenOf(command.pid)).length).toBe(WORKERS);
      expect((await get(`${url}/readyz`)).status).toBe(200);
      command.signal('SIGTERM');
      expect(await command.end()).toBe(0);
      expect(logged(command, 'replacing the processes')).toHaveLength(2);
    }, 60_000);

    test('goes on as it is when those that shall replace it do not start, and says why', async () => {
      const command = launch();
      const url = await command.ready();
      const before = await childrenOf(command.pid);
      const user = await signUp(url);
      const socket = await connect(user);
      const idFile = join(place.dataDir, 'files', 'store-id');
      await rename(idFile, `${idFile}-away`);
      command.signal('SIGHUP');
      const [told] = await eventually(30_000, 'the roll is given up', () => {
        const found = logged(command, 'the processes are not replaced: the old ones go on');
        return found.length > 0 ? found : undefined;
      });
      expect(told!['reason']).toContain('it has no store id');
      await eventually(
        5000,
        'only the old ones are left',
        async () => (await childrenOf(command.pid)).length === WORKERS,
      );
      expect(await childrenOf(command.pid)).toEqual(before);
      await user.createRoom();
      expect(socket.closes).toEqual([]);

      // It is asked again once that is mended.
      await rename(`${idFile}-away`, idFile);
      command.signal('SIGHUP');
      expect(await closed(socket, 30_000)).toBe(1012);
      await eventually(10_000, 'the roll is over', () => rolls(command) === 1);
    }, 60_000);

    test('lets a replacement that serves already go again when another one does not start', async () => {
      const command = launch();
      const url = await command.ready();
      const before = await childrenOf(command.pid);
      const old = await connect(await signUp(url));
      command.signal('SIGHUP');
      const [stuck, other] = await eventually(10_000, 'both are started', async () => {
        const fresh = (await childrenOf(command.pid)).filter((pid) => !before.includes(pid));
        return fresh.length === WORKERS ? fresh : undefined;
      });
      // Long before it can serve, but not before the second one is there: until then whoever starts the first may still wait for it to be a program.
      process.kill(stuck!, 'SIGSTOP');
      await eventually(30_000, 'the other one serves', async () => {
        await get(`${url}/`);
        return logged(command, 'request').some(({ pid }) => pid === other);
      });
      process.kill(stuck!, 'SIGKILL');
      await eventually(
        30_000,
        'the roll is given up',
        () => logged(command, 'the processes are not replaced: the old ones go on').length === 1,
      );
      // What it answers until it is gone it answers whole.
      await eventually(30_000, 'only the old ones are left', async () => {
        expect((await get(`${url}/readyz`)).status).toBe(200);
        return (await childrenOf(command.pid)).length === WORKERS;
      });
      expect(await childrenOf(command.pid)).toEqual(before);
      expect([old.closes, rolls(command)]).toEqual([[], 0]);
    }, 90_000);

    test.each([
      ['one process', {}],
      ['two processes', { WORKERS: '2' }],
    ])(
      'of %s says on SIGTERM that it is not ready, serves for DRAIN_DELAY, then lets everyone go and ends',
      async (_what, env) => {
        const command = launch({ WORKERS: '', DRAIN_DELAY: '6s', ...env });
        const url = await command.ready();
        const user = await signUp(url);
        const roomId = await user.createRoom();
        const socket = await connect(user);
        const stream = await follow(user, roomId);
        await stream.next(1);
        const half = new HalfSent(user, roomId);
        await get(`${url}/livez`);

        command.signal('SIGTERM');
        await eventually(5000, 'it says so', async () => (await get(`${url}/readyz`)).status === 503);
        // It serves as before, and newcomers too, but for that connections are not kept.
        expect(await get(`${url}/livez`)).toEqual({ status: 200, connection: 'close' });
        const late = await connect(user);
        const feed = subscribe(late.client, ROOM_EVENTS, { roomId });
        await feed.take(1, 'roomEvents');
        await user.post(roomId, 'served');
        await feed.take(2, 'roomEvents');
        await stream.next(2);
        expect([socket.closes, late.closes, stream.ended]).toEqual([[], [], undefined]);

        expect([await closed(socket, 20_000), await closed(late)]).toEqual([1012, 1012]);
        await stream.end();
        expect(stream.ended).toBe('cut');
        await eventually(5000, 'nobody is let in', () =>
          get(`${url}/livez`).then(
            () => false,
            () => true,
          ),
        );
        expect(await half.finish()).toMatchObject({ status: 200, connection: 'close' });
        expect(await command.end()).toBe(0);
      },
    );

    test.each([
      ['one process', ''],
      ['two processes', '2'],
    ])(
      'of %s waits for nothing on SIGINT, and for nothing at all on a second signal',
      async (_what, workers) => {
        const first = launch({ WORKERS: workers, DRAIN_DELAY: '900s' });
        const user = await signUp(await first.ready());
        const roomId = await user.createRoom();
        first.signal('SIGINT');
        expect(await first.end(15_000)).toBe(0);

        const second = launch({ WORKERS: workers, DRAIN_DELAY: '900s' });
        const url = await second.ready();
        const pids = await childrenOf(second.pid);
        second.signal('SIGTERM');
        await eventually(5000, 'it is stopping', async () => (await get(`${url}/readyz`)).status === 503);
        // Within a second it would be the same one.
        await pause(1100);
        second.signal('SIGTERM');
        expect(await second.end(5000)).toBe(1);
        await eventually(5000, 'none is left', () => !pids.some(isRunning));
        expect(roomId).not.toBe('');
      },
    );

    test('leaves no process behind when the first one is killed', async () => {
      const command = launch();
      await command.ready();
      const pids = await childrenOf(command.pid);
      command.signal('SIGKILL');
      await command.end();
      await eventually(10_000, 'none is left', () => !pids.some(isRunning));
    });

    test('ends with the one line that says why it cannot start', async () => {
      const first = launch();
      const { port } = new URL(await first.ready());
      const second = launch({ PORT: port, LOG_LEVEL: 'silent' });
      expect(await second.end()).toBe(1);
      expect(second.stdout).toBe('');
      expect(second.stderr).toMatch(/^parley: [^\n]*set PORT to another port\n$/);

      first.signal('SIGTERM');
      expect(await first.end()).toBe(0);
      await writeFile(join(place.dataDir, 'files', 'store-id'), 'another');
      const third = launch({ LOG_LEVEL: 'silent' });
      expect(await third.end()).toBe(1);
      expect(third.stderr).toMatch(
        /^parley: DATA_DIR: [^\n]+ is not the folder of the database's files: [^\n]+\n$/,
      );
    });
  },
);

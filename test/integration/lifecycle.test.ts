import { cp, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backends, environmentOf, makePlace, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { Command } from '../support/command.js';
import { closed, connect } from '../support/connected-socket.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { services } from '../support/services.js';

const READY = /^parley listening on http:\/\/127\.0\.0\.1:\d+\n$/;

describe.each(backends)('The program on %s', (backend) => {
  let place: Place;
  const running: Command[] = [];

  beforeEach(async () => {
    place = await makePlace(backend);
  });
  afterEach(async () => {
    for (const command of running.splice(0)) await command[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const launch = (more: Record<string, string> = {}): Command => {
    const command = new Command('main', [], { cwd: place.dataDir, env: environmentOf(place, more) });
    running.push(command);
    return command;
  };

  /** The same user, after the server came back on another port. */
  const at = (url: string, { token, userId, refreshToken, handle }: Client): Client =>
    new Client(url, token, userId, refreshToken, handle);

  const timeline = async (user: Client, id: string): Promise<{ totalCount: number; ids: string[] }> => {
    const ids: string[] = [];
    for (let after: string | null = null; ;) {
      const { room }: Record<string, any> = await user.run(
        `query ($id: ID!, $after: String) { room(id: $id) { messages(first: 100, after: $after) { totalCount edges { node { id } } pageInfo { endCursor hasNextPage } } } }`,
        { id, after },
      );
      ids.push(...room.messages.edges.map(({ node }: { node: { id: string } }) => node.id));
      if (room.messages.pageInfo.hasNextPage !== true) return { totalCount: room.messages.totalCount, ids };
      after = room.messages.pageInfo.endCursor;
    }
  };

  test('keeps everything when it is stopped and started again', async () => {
    const first = launch();
    const user = await signUp(await first.ready());
    const roomId = await user.createRoom('PRIVATE');
    const { id, eventCursor } = await user.post(roomId, 'still there');
    const { data } = await user.upload(roomId, 'notes.txt', 'some text');
    first.signal('SIGTERM');
    expect(await first.end()).toBe(0);
    // Standard output is for the ready line, and standard error for what goes wrong.
    expect(first.stdout).toMatch(READY);
    expect(first.stderr).toBe('');

    const url = await launch().ready();
    const again = at(url, user);
    expect((await timeline(again, roomId)).ids).toEqual([id]);
    const { node } = await again.run(`query ($id: ID!) { node(id: $id) { ... on File { url sha256 } } }`, {
      id: data['uploadFile'].file.id,
    });
    expect(node.sha256).toBe(data['uploadFile'].file.sha256);
    expect(await (await fetch(node.url as string)).text()).toBe('some text');
    const client = live(again);
    const feed = subscribe(client, ROOM_EVENTS, { roomId, after: eventCursor });
    expect(await feed.take(2, 'roomEvents')).toMatchObject([
      { __typename: 'FileAdded' },
      { __typename: 'Checkpoint' },
    ]);
    await client.dispose();
    const refreshed = await again.run(
      `mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { user { id } } }`,
      { token: user.refreshToken },
    );
    expect(refreshed['refreshSession'].user.id).toBe(user.userId);
  });

  test('keeps everything that it acknowledged when it is killed while it writes', async () => {
    let user: Client | undefined;
    let roomId = '';
    const acknowledged: string[] = [];
    for (let round = 0; round < 2; round++) {
      const command = launch();
      const url = await command.ready();
      user = user === undefined ? await signUp(url) : at(url, user);
      if (roomId === '') roomId = await user.createRoom();
      const writer = async (client: Client): Promise<void> => {
        for (;;) {
          // Whatever is not answered may be there or not.
          const answer = await client.post(roomId, 'acknowledged').catch(() => undefined);
          if (answer === undefined) return;
          acknowledged.push(answer.id);
        }
      };
      const writers = Promise.all([writer(user), writer(user), writer(user)]);
      const before = acknowledged.length;
      await eventually(20_000, 'some messages', () => acknowledged.length >= before + 30);
      command.signal('SIGKILL');
      expect(await command.end()).toBe('SIGKILL');
      await writers;
    }
    const url = await launch().ready();
    const { ids, totalCount } = await timeline(at(url, user!), roomId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(acknowledged.filter((id) => !ids.includes(id))).toEqual([]);
    // Of what was under way when it was killed, at most one from each writer.
    expect(ids.length - acknowledged.length).toBeLessThanOrEqual(2 * 3);
    expect(totalCount).toBe(ids.length);
    const client = live(at(url, user!));
    const feed = subscribe(client, ROOM_EVENTS, { roomId, last: 100 });
    const events = await feed.take(Math.min(ids.length + 1, 100) + 1, 'roomEvents');
    expect(
      events.filter(({ __typename }) => __typename === 'MessageAdded').map(({ message }) => message.id),
    ).toEqual(ids.slice(-Math.min(ids.length, 100)));
    await client.dispose();
    // Three starts, each of which may have to make or recover the embedded database.
  }, 90_000);

  test('lets everyone go with 1012 when it is told to stop, finishes what is under way, and takes nothing new', async () => {
    const command = launch();
    const url = await command.ready();
    const user = await signUp(url);
    const roomId = await user.createRoom();
    const socket = await connect(user);

    // A request of which half has arrived.
    const body = JSON.stringify({
      query: `mutation ($id: ID!) { postMessage(input: { roomId: $id, body: "the last word" }) { message { id } } }`,
      variables: { id: roomId },
    });
    const slow = request(`${url}/graphql`, {
      method: 'POST',
      // A client that would keep its connection for good.
      agent: new Agent({ keepAlive: true }),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...user.headers(),
      },
    });
    const answered = once(slow, 'response');
    slow.write(body.slice(0, 40));
    await eventually(5000, 'it is under way', async () => (await fetch(`${url}/livez`)).ok);

    command.signal('SIGTERM');
    expect(await closed(socket)).toBe(1012);
    await eventually(5000, 'nobody is let in', () =>
      fetch(`${url}/livez`).then(
        () => false,
        () => true,
      ),
    );
    slow.end(body.slice(40));
    const [response] = (await answered) as [AsyncIterable<Buffer> & { statusCode: number }];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    expect(response.statusCode).toBe(200);
    const { data } = JSON.parse(Buffer.concat(chunks).toString()) as { data: Record<string, any> };
    expect(await command.end(15_000)).toBe(0);

    const again = at(await launch().ready(), user);
    expect((await timeline(again, roomId)).ids).toEqual([data['postMessage'].message.id]);
  });

  test('ends with 0 on SIGINT too', async () => {
    const command = launch();
    await command.ready();
    command.signal('SIGINT');
    expect(await command.end()).toBe(0);
  });
});

describe('The program on a machine with nothing on it', () => {
  let home: string;
  const running: Command[] = [];

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'parley-test-'));
  });
  afterEach(async () => {
    for (const command of running.splice(0)) await command[Symbol.asyncDispose]();
    await rm(home, { recursive: true, force: true });
  });

  const launch = (env: Record<string, string> = {}): Command => {
    const command = new Command('main', [], {
      cwd: home,
      env: { PORT: '0', LOG_LEVEL: 'silent', DRAIN_DELAY: '0s', ...env },
    });
    running.push(command);
    return command;
  };

  /** An empty database, as the program makes it when it finds none: that takes a while. */
  const provide = (): Promise<void> =>
    cp(services.embeddedTemplate, join(home, 'data', 'postgres'), { recursive: true });

  test('makes its database and its secret where it stands, for its owner alone', async () => {
    const url = await launch().ready();
    const user = await signUp(url);
    await user.createRoom();
    expect((await stat(join(home, 'data', 'secret'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(home, 'data', 'postgres'))).isDirectory()).toBe(true);
    // A request's Host is nobody's word for where it is.
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  test('refuses a folder that another process works in, and harms nothing there', async () => {
    await provide();
    const first = launch();
    const user = await signUp(await first.ready());
    const roomId = await user.createRoom();
    for (let i = 0; i < 2; i++) {
      const second = launch();
      expect(await second.end()).toBe(1);
      expect(second.stdout).toBe('');
      expect(second.stderr).toMatch(/^parley: [^\n]*data[^\n]*\n$/);
    }
    await user.post(roomId, 'unharmed');
    first.signal('SIGTERM');
    expect(await first.end()).toBe(0);
    const again = new Client(await launch().ready(), user.token);
    const { room } = await again.run(`query ($id: ID!) { room(id: $id) { messages { totalCount } } }`, {
      id: roomId,
    });
    expect(room.messages.totalCount).toBe(1);
  });

  test.each([
    ['PORT', { PORT: 'many' }],
    ['JWT_SECRET', { DATABASE_URL: 'postgres://localhost/parley' }],
    ['REDIS_URL', { REDIS_URL: 'redis://localhost' }],
    ['JWT_ISSUER', { JWT_JWKS_URL: 'https://identity.example.com/keys' }],
  ])('says in one line what is wrong with %s, and does nothing', async (name, env) => {
    const command = launch(env);
    expect(await command.end()).toBe(1);
    expect(command.stdout).toBe('');
    expect(command.stderr).toMatch(new RegExp(`^parley: ${name}: got [^\\n]+\\n$`));
    await expect(stat(join(home, 'data'))).rejects.toThrow('ENOENT');
  });

  test('reads a .env beside it, which the environment overrules', async () => {
    await writeFile(join(home, '.env'), 'PORT=many\nLOG_LEVEL=loud\n');
    for (const [name, env] of Object.entries({ PORT: { LOG_LEVEL: 'silent' }, LOG_LEVEL: { PORT: '0' } })) {
      await using command = new Command('main', [], { cwd: home, env });
      expect(await command.end()).toBe(1);
      expect(command.stderr).toMatch(new RegExp(`^parley: ${name}: got [^\\n]+\\n$`));
    }
  });

  test('says in one line that its port is taken', async () => {
    await provide();
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const command = launch({ PORT: String((other.address() as AddressInfo).port) });
    expect(await command.end()).toBe(1);
    expect(command.stderr).toMatch(/^parley: [^\n]*PORT[^\n]*\n$/);
    other.close();
  });

  test('says in one line that its database is not to be reached, without its password', async () => {
    const command = launch({
      DATABASE_URL: 'postgres://someone:topsecret@127.0.0.1:9/parley',
      JWT_SECRET: 'x'.repeat(32),
    });
    expect(await command.end()).toBe(1);
    expect(command.stdout).toBe('');
    expect(command.stderr).toMatch(/^parley: [^\n]+\n$/);
    expect(command.stderr).not.toContain('topsecret');
  });
});

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makePlace, type Place } from '../support/app.js';
import { Client, signUp, word } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { EventStream } from '../support/event-stream.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { ServerProcess } from '../support/process.js';
import { at, createUpload, ended, hang, picture, sendByTus, sha256, uploadOf } from '../support/resumable.js';
import { isMissing, services, startNginx, type Nginx } from '../support/services.js';
import { keptSoon, multipart, namesStored, oneFile, PNG, uploadLarge } from '../support/uploads.js';
import { startCluster } from './cluster.js';
import { Follower, THIN } from './follower.js';
import { Ledger } from './ledger.js';
import { makePerson } from './people.js';
import { Random } from './random.js';
import { KINDS, transport } from './transports.js';
import { heads, judge, uuidOf } from './verdict.js';
import { Writer } from './writer.js';

const MIB = 1024 * 1024;
const SIGN_UPS = 40;

const skip =
  [services.postgres, services.redis, services.nginx].some(isMissing) || process.platform !== 'linux';

const hostOf = (url: string): string => new URL(url).host;

describe.skipIf(skip)('Two processes behind nginx, as deploy/nginx.conf has it', () => {
  let place: Place;
  let servers: readonly [ServerProcess, ServerProcess];
  let nginx: Nginx;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace('postgres');
    // nginx makes all clients one address, whose sign-ups other tests count as well: not in this database of the same Redis.
    const redis = Object.assign(new URL(place.env['REDIS_URL']!), { pathname: '/1' });
    const more = {
      REDIS_URL: redis.href,
      TRUST_PROXY: 'loopback',
      SIGN_UP_LIMIT_PER_ADDRESS: String(SIGN_UPS),
      UPLOAD_MAX_BYTES: String(2048 * MIB),
    };
    servers = [await ServerProcess.start(place, more), await ServerProcess.start(place, more)];
    nginx = await startNginx([hostOf(servers[0].url), hostOf(servers[1].url)]);
    ada = await signUp(nginx.url);
    roomId = await ada.createRoom();
  });
  afterAll(async () => {
    await nginx[Symbol.asyncDispose]();
    for (const server of servers) await server[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const kept = { stored: 0, rows: 0, leases: 0 };

  test('nginx finds nothing wrong with the file', () => {
    expect(nginx.verdict).toMatch(/syntax is ok\n.*test is successful\n$/);
    expect(nginx.verdict).not.toMatch(/warn|emerg/);
  });

  test('a request has the id that nginx gives it, in its log and in the answer, whatever a client calls it', async () => {
    const { headers } = await fetch(`${nginx.url}/livez`, { headers: { 'x-request-id': 'of-a-client' } });
    const id = headers.get('x-request-id');
    expect(id).toMatch(/^[\da-f]{32}$/);
    await eventually(5000, 'the line', async () => (await nginx.accessLog()).includes(` id=${id ?? ''} `));
    expect(await nginx.accessLog()).not.toContain('of-a-client');
  });

  test('a WebSocket carries events', async () => {
    const client = live(ada);
    const feed = subscribe(client, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    const { id } = await ada.post(roomId, 'by WebSocket');
    expect((await feed.take(2, 'roomEvents'))[1]).toMatchObject({ message: { id } });
    await client.dispose();
  });

  test.each(['h2c', 'TLS/1.2'])(
    'a request that asks for %s is answered as if it did not',
    async (upgrade) => {
      const headers = { connection: 'Upgrade', upgrade, 'content-type': 'application/json' };
      for (const method of ['GET', 'POST']) {
        const path = method === 'GET' ? '/livez' : '/graphql';
        const asking = request(`${nginx.url}${path}`, { method, headers });
        asking.end(method === 'GET' ? undefined : '{"query":"{ __typename }"}');
        const [answer] = (await once(asking, 'response')) as [IncomingMessage];
        expect(answer.statusCode).toBe(200);
        expect(await text(answer)).toMatch(method === 'GET' ? /"ok"/ : /"Query"/);
      }
    },
  );

  test('an event stream brings each event when it happens, however short', async () => {
    const query = 'subscription ($roomId: ID!) { roomEvents(roomId: $roomId) { __typename } }';
    const stream = await EventStream.open(`${nginx.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        'accept-encoding': 'gzip',
        ...ada.headers(),
      },
      body: JSON.stringify({ query, variables: { roomId } }),
    });
    // The stream stays open: what a proxy holds back would never come.
    for (let count = 1; count < 4; count += 1) {
      expect(await stream.next(count)).toHaveLength(count);
      await ada.post(roomId, `by event stream ${count}`);
    }
    stream.close();
  });

  test('a file of 512 MiB passes in flat memory on both sides, and nginx keeps none of it', async () => {
    // What they need to take any file at all; either process may get the large one.
    for (let i = 0; i < 4; i += 1) await uploadLarge(ada, roomId, 1, 32);
    const memory = (): Promise<number[]> => Promise.all(servers.map((server) => server.memory()));
    const before = { servers: await memory(), nginx: await nginx.memoryPeak() };
    const peaks = [...before.servers];
    const written = new Set<string>();
    const over = new AbortController();
    const watch = (async () => {
      while (!over.signal.aborted) {
        (await memory()).forEach((now, i) => (peaks[i] = Math.max(peaks[i]!, now)));
        for (const file of await nginx.temporaryFiles()) written.add(file);
        await pause(20);
      }
    })();
    await uploadLarge(ada, roomId, 1, 512);
    over.abort();
    await watch;
    const grown = peaks.map((peak, i) => peak - before.servers[i]!);
    const nginxGrown = (await nginx.memoryPeak()) - before.nginx;
    console.log(
      `512 MiB grew the servers by ${grown.map((bytes) => Math.round(bytes / MIB)).join(' and ')} MiB, and nginx by ${Math.round(nginxGrown / MIB)} MiB`,
    );
    expect(Math.max(...grown)).toBeLessThan(64 * MIB);
    expect(nginxGrown).toBeLessThan(8 * MIB);
    expect([...written]).toEqual([]);
  }, 240_000);

  test('an upload over several requests goes on at either process, unbuffered', async () => {
    const room = await ada.createRoom();
    const bytes = picture(24 * MIB);
    const upload = await createUpload(ada, room, bytes.length);
    const url = at(nginx.url, upload);
    const { token } = upload['token'];
    const hanging = hang(url, token, bytes.subarray(0, 10 * MIB), bytes.length);
    // What nginx has not kept for itself.
    await eventually(
      20_000,
      'it is being stored',
      async () => Number((await uploadOf(ada, upload['id']))?.['offset']) > 0,
    );
    await sendByTus(bytes, url, token, { chunkSize: 5 * MIB });
    await hanging.over;
    expect((await ended(ada, upload['id']))['file']).toMatchObject({ sha256: sha256(bytes) });
    expect(await nginx.temporaryFiles()).toEqual([]);
  });

  test('an upload that a client breaks off reaches a server as such, which keeps nothing of it', async () => {
    const room = await ada.createRoom();
    const stored = (await namesStored(place)).length;
    const request = await multipart(ada).head(...oneFile(room));
    await request.beginFile('file', 'x.png');
    await request.raw(Buffer.concat([PNG, randomBytes(8 * MIB)]));
    await eventually(10_000, 'it is being stored', async () => (await namesStored(place)).length > stored);
    await request.abort();
    await request.answer.catch(() => undefined);
    await keptSoon(place, ada, room, { ...kept, stored });
  });

  test('a file that is refused gets the answer of the server, not one of nginx, and that costs nobody anything', async () => {
    const chunk = randomBytes(MIB);
    const refusal = async (): Promise<string> => {
      const request = await multipart(ada).head(...oneFile(roomId));
      await request.beginFile('file', 'x.exe');
      await request.raw('MZ');
      for (let sent = 0; sent < 32; sent += 1) await request.raw(chunk);
      await request.raw('\r\n');
      const { status, body } = await request.end();
      return `${status} ${/[A-Z]+(_[A-Z]+)+/.exec(body)?.[0]}`;
    };
    for (let round = 0; round < 4; round += 1) {
      const refusals = await Promise.all(Array.from({ length: 8 }, refusal));
      expect(refusals).toEqual(refusals.map(() => '413 FILE_TYPE_NOT_ALLOWED'));
    }
    await expectAllWell();
  });

  test('addresses are what nginx sees, whatever a client says of itself', async () => {
    const attempt = async (): Promise<string> => {
      const response = await fetch(`${nginx.url}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-forwarded-for': `198.51.100.${Math.floor(Math.random() * 250)}`,
        },
        body: JSON.stringify({
          query: `mutation ($input: SignUpInput!) { signUp(input: $input) { user { id } } }`,
          variables: {
            input: {
              email: `${word()}@example.com`,
              password: 'correct horse battery staple',
              handle: `u-${word()}`,
              name: 'x',
            },
          },
        }),
      });
      const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
      return errors?.[0]?.extensions.code ?? 'data';
    };
    const codes: string[] = [];
    for (let i = 0; i <= SIGN_UPS; i += 1) codes.push(await attempt());
    expect(codes).toContain('RATE_LIMITED');
  });

  test('the numbers of the processes are not for everyone', async () => {
    for (const path of ['/metrics', '//metrics', '/%6detrics', '/x/../metrics'])
      expect((await fetch(`${nginx.url}${path}`)).status).toBe(404);
  });

  test('the access log has the path, and nothing that is secret', async () => {
    const secret = `secret-${word()}`;
    const { data } = await ada.upload(roomId, 'notes.txt', 'some text');
    const link = new URL(data['uploadFile'].file.url as string);
    await fetch(`${nginx.url}${link.pathname}${link.search}`, {
      headers: { referer: `http://x/?token=${secret}` },
    });
    await fetch(`${nginx.url}/graphql?token=${secret}&query={__typename}`);
    await fetch(`${nginx.url}/graphql?token=${secret}`, { headers: { accept: 'text/event-stream' } });
    const log = await nginx.accessLog();
    expect(log).toContain(`"GET ${link.pathname.replace('notes.txt', '…')} HTTP/1.1"`);
    expect(log).toContain('"POST /graphql HTTP/1.1" 200');
    for (const word of [secret, ada.token!, ada.refreshToken, link.search, 'notes.txt', '?'])
      expect(log).not.toContain(word);
  });

  const expectAllWell = async (): Promise<void> => {
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async () => (await fetch(`${nginx.url}/readyz`)).status),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
  };
});

describe.skipIf(isMissing(services.nginx))('nginx, as deploy/nginx.conf has it', () => {
  test('asks the other process for what may be asked twice, and never repeats what was sent and may have been done', async () => {
    const reached: string[] = [];
    const servers = [0, 1].map(() =>
      createServer((req) => {
        req.on('end', () => {
          reached.push(`${req.method} ${req.url}`);
          req.socket.destroy();
        });
        req.resume();
      }).listen(0, '127.0.0.1'),
    ) as [Server, Server];
    await Promise.all(servers.map((server) => once(server, 'listening')));
    const hosts = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
    await using nginx = await startNginx(hosts as [string, string]);
    expect((await fetch(`${nginx.url}/read`)).status).toBe(502);
    expect(reached).toEqual(['GET /read', 'GET /read']);
    expect((await fetch(`${nginx.url}/write`, { method: 'POST', body: 'x' })).status).toBe(502);
    expect(reached.slice(2)).toEqual(['POST /write']);

    // What nginx says by itself is JSON, with the id that its log has.
    const refused = async (path: string, init?: RequestInit): Promise<any> => {
      const response = await fetch(`${nginx.url}${path}`, init);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(response.headers.get('retry-after')).toBe(response.status === 502 ? '2' : null);
      return { id: response.headers.get('x-request-id'), body: await response.json() };
    };
    const query = await refused('/graphql?token=secret', {
      method: 'POST',
      body: '{}',
      headers: { 'x-request-id': 'of-a-client' },
    });
    const message = 'The server is not available: try again.';
    const extensions = { code: 'UNAVAILABLE', requestId: query.id };
    expect(query.body).toEqual({ errors: [{ message, extensions }] });
    const file = await refused('/files/1/a.png');
    expect(file.body).toEqual({ code: 'UNAVAILABLE', message, requestId: file.id });
    const missing = await refused('/metrics');
    expect(missing.body).toMatchObject({ code: 'NOT_FOUND', requestId: missing.id });
    const broken = connect(Number(new URL(nginx.url).port), '127.0.0.1');
    broken.end('no request at all\r\n\r\n');
    const said = await text(broken);
    expect(said).toMatch(/^HTTP\/1\.1 400 [^]*"code":"BAD_REQUEST"/);
    const ids = [query.id, file.id, missing.id, /"requestId":"(\w+)"/.exec(said)![1]];
    await eventually(5000, 'their lines', async () => {
      const log = await nginx.accessLog();
      return ids.every((id) => log.includes(` id=${id} `));
    });
    const log = await nginx.accessLog();
    expect(log).toContain('"POST /graphql HTTP/1.1" 502 ');
    expect(log).not.toMatch(/secret|of-a-client/);
    for (const server of servers) server.close();
  });
});

describe.skipIf(skip || isMissing(services.redisServer))(
  'When one of the processes behind nginx dies',
  () => {
    test('writes end once, reads are answered, and whoever follows misses nothing', async () => {
      await using cluster = await startCluster();
      const [dying, living] = [cluster.nodes[0]!, cluster.nodes[1]!];
      await using nginx = await startNginx([`127.0.0.1:${dying.port}`, `127.0.0.1:${living.port}`]);
      const random = new Random(Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 1e9)));
      const person = await makePerson(nginx.url, 'ada');
      const client = new Client(nginx.url, await person.session.accessToken());
      const roomId = await client.createRoom();
      const { room } = await client.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, { id: roomId });

      const followers = Array.from({ length: 16 }, (_, i) => {
        const kind = KINDS[i % KINDS.length]!;
        const open = transport(kind, nginx.url, person.session);
        return new Follower(
          `${kind} ${i}`,
          kind,
          person.userId,
          roomId,
          room.eventCursor,
          THIN,
          open,
          random.fork(),
          () => undefined,
        );
      });
      const ledger = new Ledger();
      const stop = new AbortController();
      const writing = Array.from({ length: 4 }, (_, i) =>
        new Writer(`writer ${i}`, person, [nginx.url, nginx.url], [roomId], random.fork(), ledger).run(
          10,
          stop.signal,
        ),
      );
      const answers = new Map<number, number>();
      const reading = Array.from({ length: 4 }, async () => {
        const query = encodeURIComponent('query ($id: ID!) { room(id: $id) { name } }');
        const variables = encodeURIComponent(JSON.stringify({ id: roomId }));
        while (!stop.signal.aborted) {
          const { status } = await fetch(`${nginx.url}/graphql?query=${query}&variables=${variables}`, {
            headers: { 'apollo-require-preflight': '1', ...client.headers() },
          });
          answers.set(status, (answers.get(status) ?? 0) + 1);
          await pause(5);
        }
      });

      await eventually(20_000, 'everyone follows', () => followers.every(({ isLive }) => isLive));
      await eventually(30_000, 'things happen', () => ledger.entries.length > 40);
      await dying.kill();
      const before = ledger.entries.length;
      await eventually(30_000, 'things go on', () => ledger.entries.length > before + 80);
      stop.abort();
      await Promise.all([...writing, ...reading]);

      const database = { connectionString: cluster.postgres.url };
      const head = (await heads(database)).get(uuidOf(roomId))!;
      await eventually(30_000, 'everyone catches up', () =>
        followers.every(({ lastSeq }) => lastSeq >= head),
      );
      for (const follower of followers) follower.stop();
      const verdict = await judge(database, followers, ledger, []);
      expect(verdict).toMatchObject({
        lost: 0,
        doubled: 0,
        disordered: 0,
        foreign: 0,
        writesLost: 0,
        writesDoubled: 0,
      });
      expect(followers.flatMap(({ oddities }) => [...oddities])).toEqual([]);
      expect([...ledger.oddities]).toEqual([]);
      // Some were on the process that died.
      expect(followers.some(({ ends }) => ends.size > 0)).toBe(true);
      expect([...answers.keys()]).toEqual([200]);
      await within(5000, 'an answer', fetch(`${nginx.url}/livez`));
    }, 120_000);
  },
);

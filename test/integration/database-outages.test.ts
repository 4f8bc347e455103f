import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { ServerProcess } from '../support/process.js';
import { readiness, untilReadiness } from '../support/readiness.js';
import { isMissing, services } from '../support/services.js';
import { Wire } from '../support/wire.js';

const READ = 'query ($id: ID!) { room(id: $id) { messages(first: 5) { edges { node { body } } } } }';

const LIST = '{ rooms(first: 5) { edges { node { name } } } }';

describe.skipIf(isMissing(services.postgres))('While the database does not do its work', () => {
  let place: Place;
  let app: App;
  let wire: Wire;
  let admin: pg.Client;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace('postgres');
    const url = place.env['DATABASE_URL'] ?? '';
    wire = await Wire.to(url);
    app = await startOn(place, { DATABASE_URL: wire.through(url) });
    admin = new pg.Client(url);
    await admin.connect();
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(async () => {
    await admin.end();
    await app[Symbol.asyncDispose]();
    await wire[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const codeOf = (body: string, id = roomId): Promise<string> =>
    ada.post(id, body).then(
      () => 'posted',
      (error: unknown) => /"code":"(\w+)"/.exec(String(error))?.[1] ?? String(error),
    );

  test('an event stream that cannot begin is refused, and an EventSource comes back by itself', async () => {
    const query = 'subscription ($id: ID!) { roomEvents(roomId: $id) { __typename } }';
    const variables = { id: roomId };
    const headers = { ...ada.headers(), accept: 'text/event-stream' };
    const byPost = () =>
      fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
      });
    const asked = new URLSearchParams({ query, variables: JSON.stringify(variables) }).toString();
    const byGet = () => fetch(`${app.url}/graphql?${asked}`, { headers });

    wire.cut();
    const refused = await byPost();
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2']);
    expect(await refused.json()).toMatchObject({ errors: [{ extensions: { code: 'UNAVAILABLE' } }] });

    const broken = await byGet();
    expect(broken.status).toBe(200);
    let text = '';
    await expect(
      (async () => {
        for await (const chunk of broken.body!) text += Buffer.from(chunk).toString();
      })(),
    ).rejects.toThrow();
    expect(text).toBe('retry: 2000\n\n');

    wire.mend();
    await untilReadiness(app.url, 'ok');
    for (const begin of [byPost, byGet]) {
      const begun = await begin();
      expect(begun.status).toBe(200);
      await begun.body!.cancel();
    }
  });

  test('writes that wait for a lock hold up no reads, and are told to try again', async () => {
    // More rooms than connections, for the posts of a room go together.
    const rooms = await Promise.all(Array.from({ length: 12 }, () => ada.createRoom()));
    await codeOf('before');
    await admin.query('begin; lock table messages in share mode');
    try {
      const posts = rooms.map((id) => codeOf('held', id));
      await eventually(10_000, 'they wait', async () => {
        const { rows } = await admin.query<{ n: number }>(
          `select count(*)::int as n from pg_locks where not granted and relation = 'messages'::regclass`,
        );
        return rows[0]!.n >= 3;
      });
      for (let i = 0; i < 10; i += 1) {
        // What finds no connection within five seconds fails.
        await Promise.all([ada.run(READ, { id: roomId }), ada.run(LIST), ada.run(LIST)]);
        expect((await readiness(app.url)).code).toBe(200);
      }
      const outcomes = await within(30_000, 'an answer to each', Promise.all(posts));
      expect(new Set(outcomes)).toEqual(new Set(['UNAVAILABLE']));
    } finally {
      await admin.query('rollback');
    }
    expect(await codeOf('after')).toBe('posted');
  }, 60_000);

  test('each kind of failure is logged once with a stack that names the source, and then counted', async () => {
    const DATABASE_URL = wire.through(place.env['DATABASE_URL'] ?? '');
    await using server = await ServerProcess.start(place, { DATABASE_URL, LOG_LEVEL: 'warn' });
    const client = new Client(server.url, ada.token);
    const asked = 400;
    const begun = performance.now();
    wire.cut();
    for (let n = 0; n < asked; n += 20)
      await Promise.all(Array.from({ length: 20 }, () => client.ask(LIST).catch(() => undefined)));
    wire.mend();
    await untilReadiness(server.url, 'ok');
    const lines = (): any[] =>
      server.log
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line))
        .filter(({ msg }) => msg === 'unavailable');
    // None of them is lost: each is a line of its own, or counted in one.
    await eventually(5000, 'all are told of', () => {
      const told = lines().reduce((sum: number, { repeated = 1 }) => sum + Number(repeated), 0);
      return told >= asked;
    });
    const kinds = new Map<string, any[]>();
    for (const line of lines()) {
      const { type, code, message } = line.err;
      const kind = `${type} ${code} ${message.replaceAll(/\d+/g, '#')}`;
      kinds.set(kind, [...(kinds.get(kind) ?? []), line]);
    }
    const seconds = Math.ceil((performance.now() - begun) / 1000);
    for (const [kind, those] of kinds) expect(those.length, kind).toBeLessThanOrEqual(seconds + 2);
    const stacks = lines().flatMap(({ err }) => (err.stack === undefined ? [] : [err.stack as string]));
    expect(stacks.length).toBeLessThan(30);
    expect(stacks.join('\n')).toMatch(/\(src\/[\w/-]+\.ts:\d+:\d+\)/);
    expect(stacks.join('\n')).not.toContain('dist/src');
  }, 60_000);

  test('a primary that takes no writes is not ready, and its connections are replaced', async () => {
    const database = new URL(place.env['DATABASE_URL'] ?? '').pathname.slice(1);
    const demote = (to: 'on' | 'off') =>
      admin.query(
        `alter database ${pg.escapeIdentifier(database)} set default_transaction_read_only = ${to}`,
      );
    await demote('on');
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'parley'`,
    );
    await untilReadiness(app.url, 'down');
    expect(await within(30_000, 'an answer', codeOf('demoted'))).toBe('UNAVAILABLE');
    // Connections of before would be read-only still.
    await admin.query('set default_transaction_read_only = off');
    await demote('off');
    await untilReadiness(app.url, 'ok');
    await eventually(20_000, 'posting again', async () => (await codeOf('promoted')) === 'posted');
  }, 90_000);
});

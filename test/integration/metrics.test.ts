import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { startOn, makePlace, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { EventStream } from '../support/event-stream.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { Scrape } from '../support/metrics.js';

let place: Place;
let app: App;
let user: Client;
let roomId: string;

beforeAll(async () => {
  place = await makePlace('embedded');
  app = await startOn(place, { METRICS_PORT: '0', UPLOAD_MAX_BYTES: '100000', SOCKET_LIMIT: '4' });
  user = await signUp(app.url);
  roomId = await user.createRoom();
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

const scrape = (): Promise<Scrape> => Scrape.of(app.metricsUrl);

/** What a scrape has once `found` says so: counts may follow the answer that a client has. */
const scrapeWith = (found: (now: Scrape) => boolean): Promise<Scrape> =>
  eventually(5000, 'the metrics say so', async () => {
    const now = await scrape();
    return found(now) ? now : undefined;
  });

describe('Operations', () => {
  const series = (operation: string, kind: string, transport: string): string =>
    `parley_operation_duration_seconds_count{operation="${operation}",kind="${kind}",transport="${transport}"}`;

  test('are counted by name and kind, over HTTP and on sockets', async () => {
    const before = await scrape();
    await user.run('query WhoAmI { viewer { user { handle } } }');
    await user.run('{ viewer { user { handle } } }');
    const socket = live(user);
    await subscribe(socket, 'query WhoAmI { viewer { user { handle } } }').take(1, 'viewer');
    const feed = subscribe(socket, ROOM_EVENTS.replace('subscription', 'subscription Follow'), { roomId });
    const now = await scrapeWith((found) => found.get(series('Follow', 'subscription', 'ws')) === 1);
    expect(now.grown(series('WhoAmI', 'query', 'http'), before)).toBe(1);
    expect(now.grown(series('WhoAmI', 'query', 'ws'), before)).toBe(1);
    expect(now.grown(series('anonymous', 'query', 'http'), before)).toBe(1);
    feed.stop();
    await socket.dispose();
  });

  test('of ever new names become `other`: no client makes series without end', async () => {
    for (let n = 0; n < 130; n += 10) {
      await Promise.all(
        Array.from({ length: 10 }, (_, i) => user.run(`query Name${n + i} { viewer { user { handle } } }`)),
      );
    }
    const now = await scrapeWith((found) => found.get(series('other', 'query', 'http')) !== undefined);
    const names = new Set(
      now
        .seriesOf('parley_operation_duration_seconds_count')
        .map((name) => /operation="(\w+)"/.exec(name)?.[1]),
    );
    expect(names.size).toBeLessThanOrEqual(102);
    // The names that were there before still have their own.
    const before = await scrape();
    await user.run('query WhoAmI { viewer { user { handle } } }');
    await scrapeWith((found) => found.grown(series('WhoAmI', 'query', 'http'), before) === 1);
  });

  test('that fail are counted by the code that the client is told, once', async () => {
    const before = await scrape();
    await user.refusal('{ nothing }');
    const socket = live(user);
    await subscribe(socket, '{ nothing }').end();
    await socket.dispose();
    const now = await scrape();
    expect(now.grown('parley_errors_total{code="GRAPHQL_VALIDATION_FAILED"}', before)).toBe(2);
  });

  test('are told apart by route and status as requests', async () => {
    const before = await scrape();
    await fetch(`${app.url}/livez`);
    await fetch(`${app.url}/anything/at/all`);
    await fetch(`${app.url}/files/none/none.txt`);
    const now = await scrapeWith(
      (found) => found.grown('parley_http_requests_total{route="/files",status="403"}', before) === 1,
    );
    expect(now.grown('parley_http_requests_total{route="/livez",status="200"}', before)).toBe(1);
    expect(now.grown('parley_http_requests_total{route="other",status="404"}', before)).toBe(1);
  });
});

describe('Subscribers', () => {
  test('are gauged by transport, with groups and rooms, and what they are handed is counted', async () => {
    const idle = await scrape();
    const [one, two] = [live(user), live(user)];
    const feeds = [subscribe(one, ROOM_EVENTS, { roomId }), subscribe(two, ROOM_EVENTS, { roomId })];
    const stream = await EventStream.open(`${app.url}/graphql`, {
      method: 'POST',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json', ...user.headers() },
      body: JSON.stringify({ query: ROOM_EVENTS, variables: { roomId } }),
    });
    // Each is told that it has everything.
    const before = await scrapeWith((found) => found.grown('parley_deliveries_total', idle) === 3);
    expect(before.get('parley_subscribers{transport="ws"}')).toBe(2);
    expect(before.get('parley_subscribers{transport="sse"}')).toBe(1);
    await user.post(roomId, 'to three');
    await Promise.all(feeds.map((feed) => feed.take(2, 'roomEvents')));
    const now = await scrapeWith((found) => found.grown('parley_deliveries_total', before) === 3);
    expect(now.grown('parley_executions_total', before)).toBe(1);
    expect(now.grown('parley_events_total', before)).toBe(1);
    expect(now.get('parley_groups')).toBe(1);
    expect(now.get('parley_rooms')).toBe(1);
    expect(now.get('parley_sockets')).toBe(2);

    stream.close();
    feeds[0]!.stop();
    await two.dispose();
    await scrapeWith(
      (found) =>
        found.get('parley_subscribers{transport="ws"}') === 0 &&
        found.get('parley_subscribers{transport="sse"}') === 0 &&
        found.get('parley_groups') === 0 &&
        found.get('parley_rooms') === 0,
    );
    await one.dispose();
    await scrapeWith((found) => found.get('parley_sockets') === 0);
  });

  test('who begin behind the head are counted as catching up, and a cursor of no history as a gap', async () => {
    const { eventCursor } = await user.post(roomId, 'first');
    await user.post(roomId, 'second');
    const before = await scrape();
    const socket = live(user);
    await subscribe(socket, ROOM_EVENTS, { roomId, after: eventCursor }).take(1, 'roomEvents');
    const now = await scrape();
    expect(now.grown('parley_catch_ups_total{reason="begun_behind"}', before)).toBe(1);
    const elsewhere = Buffer.from(eventCursor, 'base64url');
    elsewhere[elsewhere.length - 1]! ^= 1;
    await subscribe(socket, ROOM_EVENTS, { roomId, after: elsewhere.toString('base64url') }).end();
    expect((await scrape()).grown('parley_gaps_total{cause="cursor"}', before)).toBe(1);
    await socket.dispose();
  });

  test('beyond the limit of sockets are counted as refused', async () => {
    const before = await scrape();
    const address = `${app.url.replace('http', 'ws')}/graphql`;
    const sockets = Array.from({ length: 5 }, () => new WebSocket(address, 'graphql-transport-ws'));
    const [code] = (await Promise.race(sockets.map((socket) => once(socket, 'close')))) as [number];
    expect(code).toBe(1013);
    const now = await scrape();
    expect(now.grown('parley_sockets_refused_total', before)).toBe(1);
    expect(now.grown('parley_sockets_opened_total', before)).toBe(4);
    for (const socket of sockets) socket.terminate();
  });
});

describe('Uploads', () => {
  test('are counted by how they ended', async () => {
    const before = await scrape();
    await user.upload(roomId, 'a.txt', 'some bytes');
    await user.upload(roomId, 'large.txt', 'x'.repeat(100_001));
    // One that is cut off in its middle.
    const { hostname, port } = new URL(app.url);
    const socket = createConnection(Number(port), hostname);
    const query = 'mutation ($input: UploadFileInput!) { uploadFile(input: $input) { file { id } } }';
    const part = (name: string, body: string): string =>
      `--b\r\nContent-Disposition: form-data; name="${name}"${body}`;
    socket.write(
      [
        `POST /graphql HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: multipart/form-data; boundary=b\r\n`,
        `Apollo-Require-Preflight: 1\r\nAuthorization: Bearer ${user.token}\r\nContent-Length: 90000\r\n\r\n`,
        part(
          'operations',
          `\r\n\r\n${JSON.stringify({ query, variables: { input: { roomId, file: null } } })}\r\n`,
        ),
        part('map', `\r\n\r\n{"0":["variables.input.file"]}\r\n`),
        part('0', `; filename="cut.txt"\r\nContent-Type: text/plain\r\n\r\n${'x'.repeat(1000)}`),
      ].join(''),
    );
    await scrapeWith((found) => found.grown('parley_uploads_started_total', before) === 3);
    socket.destroy();
    const now = await scrapeWith((found) => found.grown('parley_uploads_aborted_total', before) === 1);
    expect(now.grown('parley_uploads_stored_total', before)).toBe(1);
    expect(now.grown('parley_uploads_refused_total{code="FILE_TOO_LARGE"}', before)).toBe(1);
    expect(now.grown('parley_uploads_failed_total', before)).toBe(0);
    expect(now.grown('parley_upload_bytes_total', before)).toBeGreaterThan(10 + 1000);
    expect(now.grown('parley_received_bytes_total', before)).toBeGreaterThan(100_000);
    expect(now.grown('parley_sent_bytes_total', before)).toBeGreaterThan(500);
  });
});

describe('The address of the metrics', () => {
  test('is a port of its own, on loopback unless said otherwise: the public one has none', async () => {
    expect(new URL(app.metricsUrl!).hostname).toBe('127.0.0.1');
    expect(new URL(app.metricsUrl!).port).not.toBe(new URL(app.url).port);
    expect((await fetch(`${app.url}/metrics`)).status).toBe(404);
    expect((await fetch(new URL('/graphql', app.metricsUrl))).status).toBe(404);
    expect((await fetch(app.metricsUrl!, { method: 'POST' })).status).toBe(404);
  });

  test('is nowhere unless it is asked for', async () => {
    await using quiet = await makePlace('embedded');
    await using other = await startOn(quiet);
    expect(other.metricsUrl).toBeUndefined();
  });

  test('stops the start when somebody else listens there, in a line that names the variable', async () => {
    await using taken = await makePlace('embedded');
    const { port } = new URL(app.metricsUrl!);
    await expect(startOn(taken, { METRICS_PORT: port })).rejects.toThrow(/^METRICS_PORT: got \d+; /);
  });
});

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { makePlace, type Place } from '../support/app.js';
import { Client, PASSWORD, signUp } from '../support/client.js';
import { Collector, type CollectedSpan } from '../support/collector.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { ServerProcess } from '../support/process.js';
import { isMissing, services } from '../support/services.js';

const SERVER = 2;
const PRODUCER = 4;
const CONSUMER = 5;

/** A client's own span, whose trace the server's are to join. */
function clientSpan() {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
}

describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))('A trace', () => {
  let place: Place;
  let collector: Collector;
  let one: ServerProcess;
  let two: ServerProcess;
  let user: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace('postgres');
    collector = await Collector.start();
    const start = (name: string): Promise<ServerProcess> =>
      ServerProcess.start(place, {
        LOG_LEVEL: 'warn',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${name}`,
        OTEL_BSP_SCHEDULE_DELAY: '50',
      });
    [one, two] = await Promise.all([start('one'), start('two')]);
    user = await signUp(one.url);
    roomId = await user.createRoom();
  });
  afterAll(async () => {
    await one[Symbol.asyncDispose]();
    await two[Symbol.asyncDispose]();
    await collector[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  /** The spans of a trace, once `all` of these names are among them. */
  const spansOf = (traceId: string, all: readonly string[]): Promise<CollectedSpan[]> =>
    eventually(10_000, `a trace with ${all.join(', ')}`, () => {
      const spans = collector.spans.filter((span) => span.traceId === traceId);
      const names = new Set(spans.map(({ instance, name }) => `${instance}: ${name}`));
      if (all.every((name) => names.has(name))) return spans;
      throw new Error(`so far: ${[...names].join(', ')}`);
    });

  const ask = (query: string, variables: object, traceparent: string): Promise<unknown> =>
    fetch(`${one.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent, ...user.headers() },
      body: JSON.stringify({ query, variables }),
    }).then((response) => response.json());

  test('goes from the request of one process through resolver, service, statements and bus to the delivery by another', async () => {
    const elsewhere = new Client(two.url, user.token, user.userId);
    const socket = live(elsewhere);
    const feed = subscribe(socket, ROOM_EVENTS, { roomId });
    // The checkpoint: it follows.
    await feed.take(1, 'roomEvents');
    const { traceId, spanId, traceparent } = clientSpan();
    const body = 'nobody else is to read this';
    await ask(
      'mutation Say($input: PostMessageInput!) { postMessage(input: $input) { message { id } } }',
      { input: { roomId, body } },
      traceparent,
    );
    await feed.take(2, 'roomEvents');
    const spans = await spansOf(traceId, [
      'one: POST /graphql',
      'one: mutation Say',
      'one: resolve postMessage',
      'one: messages.post',
      'one: post batch',
      'one: sql with',
      'two: sql select',
      'two: deliver',
    ]);

    // Each is somebody's child, and at the top stands the client's own.
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const lineOf = (span: CollectedSpan | undefined): string[] =>
      span === undefined ? [] : [...lineOf(byId.get(span.parentSpanId ?? '')), span.name];
    for (const span of spans) {
      const top = lineOf(span)[0];
      expect(top, span.name).toBe('POST /graphql');
    }
    const named = (name: RegExp): CollectedSpan => spans.find((span) => name.test(span.name))!;
    expect(named(/^POST/)).toMatchObject({ parentSpanId: spanId, kind: SERVER });
    const publish = named(/^publish room:/);
    const receive = spans.find(({ name, instance }) => name.startsWith('receive') && instance === 'two');
    expect(publish).toMatchObject({ kind: PRODUCER, instance: 'one' });
    expect(receive).toMatchObject({ kind: CONSUMER, parentSpanId: publish.spanId });
    expect(lineOf(publish)).toEqual([
      'POST /graphql',
      'mutation Say',
      'resolve postMessage',
      'messages.post',
      'post batch',
      publish.name,
    ]);
    const delivery = spans.find(({ name, instance }) => name === 'deliver' && instance === 'two')!;
    expect(delivery.parentSpanId).toBe(publish.spanId);
    expect(delivery.attributes).toContainEqual({ key: 'parley.subscribers', value: { intValue: 1 } });
    const insert = named(/^sql with/);
    expect(JSON.stringify(insert.attributes)).toContain('messages');

    // What the server does for a request lies within it; what others are handed, they do when they come to it.
    const [start, end] = (['startTimeUnixNano', 'endTimeUnixNano'] as const).map(
      (side) => (span: CollectedSpan) => BigInt(span[side]),
    ) as [(span: CollectedSpan) => bigint, (span: CollectedSpan) => bigint];
    for (const span of spans) {
      const parent = byId.get(span.parentSpanId ?? '');
      expect(end(span), span.name).toBeGreaterThanOrEqual(start(span));
      if (span.name.startsWith('sql ')) expect(end(span), span.name).toBeGreaterThan(start(span));
      if (parent === undefined || parent.instance !== span.instance) continue;
      expect(start(span), span.name).toBeGreaterThanOrEqual(start(parent));
      if (parent.kind !== PRODUCER && span.instance === 'one')
        expect(end(span), span.name).toBeLessThanOrEqual(end(parent));
    }
    for (const { log } of [one, two]) expect(log).not.toContain('"msg":"tracing"');

    for (const secret of [body, PASSWORD, user.token!, user.refreshToken])
      expect(collector.text).not.toContain(secret);
    await socket.dispose();
  });

  test('is joined by what a client names on a socket: for one operation, or for all', async () => {
    const [all, own] = [clientSpan(), clientSpan()];
    const socket = createClient({
      url: `${two.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${user.token}`, traceparent: all.traceparent },
    });
    const run = async (query: string, extensions?: Record<string, unknown>): Promise<void> => {
      for await (const _ of socket.iterate({ query, ...(extensions && { extensions }) }));
    };
    await run('query First { viewer { id } }');
    await run('query Second { viewer { id } }', { traceparent: own.traceparent });
    const [first] = await spansOf(all.traceId, ['two: query First']);
    expect(first).toMatchObject({ traceId: all.traceId });
    const spans = await spansOf(own.traceId, ['two: query Second', 'two: resolve viewer']);
    expect(spans.find(({ name }) => name === 'query Second')).toMatchObject({
      kind: SERVER,
      parentSpanId: own.spanId,
    });
    await socket.dispose();
  });

  test('tells what failed, by its code and not by its words', async () => {
    const { traceId, traceparent } = clientSpan();
    await ask(
      'query Nowhere { room(id: "nonsense") { id } bad: node(id: "nonsense") { id } }',
      {},
      traceparent,
    );
    const spans = await spansOf(traceId, ['one: query Nowhere', 'one: resolve room']);
    expect(spans.find(({ name }) => name === 'POST /graphql')).toBeDefined();
    const { traceId: other, traceparent: of } = clientSpan();
    await ask('mutation Refused { leaveRoom(input: { roomId: "nonsense" }) { eventCursor } }', {}, of);
    const [...refused] = await spansOf(other, ['one: mutation Refused', 'one: resolve leaveRoom']);
    expect(refused.find(({ name }) => name === 'mutation Refused')).toMatchObject({ status: { code: 2 } });
    const field = refused.find(({ name }) => name === 'resolve leaveRoom')!;
    expect(field.attributes.find(({ key }) => key === 'error.type')?.value['stringValue']).toMatch(
      /^[A-Z_]+$/,
    );
  });
});

test('Nothing that makes spans or sends them is loaded without a collector', async () => {
  const script = `
    const { createRequire } = await import('node:module');
    const { createApp } = await import('./src/app.ts');
    if (typeof createApp !== 'function') throw new Error('no app');
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    if (process.argv[1] === 'traced') await import('./src/observability/open-telemetry.ts');
    const now = Object.keys(createRequire(import.meta.url).cache);
    console.log(JSON.stringify([now.length > 0, now.some((path) => /@opentelemetry.(?!api)/.test(path))]));`;
  const run = async (how: string): Promise<unknown> => {
    const args = ['--import', 'tsx', '--input-type=module', '--eval', script, how];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      env: { PATH: process.env['PATH'] },
    });
    return JSON.parse(stdout);
  };
  expect(await run('plain')).toEqual([true, false]);
  // What is looked at does tell.
  expect(await run('traced')).toEqual([true, true]);
});

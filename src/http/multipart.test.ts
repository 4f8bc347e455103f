import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MultipartRequest } from '../../test/support/multipart-request.js';
import { ParleyError } from '../errors.js';
import type { IncomingFile } from '../files/incoming-file.js';
import { parseMultipartRequest } from './multipart.js';
import { MultipartError } from './multipart-map.js';
import { discardRest } from './multipart-rest.js';

const MIB = 1024 * 1024;
const options = { maxFiles: 5, maxFieldBytes: 64 * 1024, maxFileBytes: 8 * MIB };

/** What the test's resolver does with `variables`. */
type Resolver = (variables: { files: IncomingFile[] }) => Promise<unknown>;

let server: Server;
let url: string;
let resolver: Resolver;
/** Settles with what became of the latest request on the server. */
let handled: Promise<void>;

beforeEach(async () => {
  server = createServer((req, res) => {
    handled = (async () => {
      try {
        const { operations, finish } = await parseMultipartRequest(req, res, options);
        const result = await resolver(
          (operations as { variables: { files: IncomingFile[] } }).variables,
        ).catch((error: unknown) =>
          error instanceof ParleyError
            ? { code: error.code, message: error.message }
            : { code: String(error) },
        );
        finish();
        res.end(JSON.stringify(result));
      } catch (error) {
        if (!(error instanceof MultipartError)) throw error;
        res.statusCode = error.status;
        discardRest(req, res);
        res.end(error.message);
      }
    })();
  });
  server.requestTimeout = 0;
  server.listen(0);
  await once(server, 'listening');
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;
  resolver = ({ files }) => Promise.all(files.map(readAll));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const readAll = (file: IncomingFile): Promise<string> =>
  file.receive(async ({ name, bytes }) => {
    let size = 0;
    for await (const chunk of bytes) size += chunk.length;
    return `${name}:${String(size)}`;
  });

const outcome = (file: IncomingFile): Promise<string> =>
  readAll(file).catch((error: unknown) => (error instanceof ParleyError ? error.code : String(error)));

/** Three files at variables.files, announced in order. */
const operations = { query: '{ x }', variables: { files: [null, null, null] as unknown[] } };
const map = { a: ['variables.files.0'], b: ['variables.files.1'], c: ['variables.files.2'] };

const send = async (sizes: readonly number[], names = ['a', 'b', 'c']): Promise<MultipartRequest> => {
  const request = await new MultipartRequest(url).head(operations, map);
  for (const [i, size] of sizes.entries())
    await request.file(names[i] ?? '', `${names[i] ?? ''}.bin`, randomBytes(size));
  return request;
};

describe('files of a multipart request', () => {
  it('come whole, of any size', async () => {
    const request = await send([3 * MIB, 0, 17]);
    expect(JSON.parse((await request.end()).body)).toEqual(['a.bin:3145728', 'b.bin:0', 'c.bin:17']);
  });

  it('are read in the order in which they arrive when all are asked for at once, in any order', async () => {
    resolver = ({ files: [a, b, c] }) => Promise.all([c!, a!, b!].map(readAll));
    const request = await send([MIB, MIB, MIB], ['b', 'c', 'a']);
    expect(JSON.parse((await request.end()).body)).toEqual([
      'c.bin:1048576',
      'a.bin:1048576',
      'b.bin:1048576',
    ]);
  });

  it('are passed over, when small, where one that is sent later is wanted first', async () => {
    resolver = async ({ files: [a, b, c] }) => [await outcome(b!), await outcome(a!), await outcome(c!)];
    const request = await send([300_000, MIB, 5]);
    expect(JSON.parse((await request.end()).body)).toEqual(['b.bin:1048576', 'UPLOAD_INCOMPLETE', 'c.bin:5']);
  });

  it('are not reached behind a large one that nobody wants', async () => {
    resolver = async ({ files: [a, b] }) => [await outcome(b!), await outcome(a!)];
    const request = await send([3 * MIB, 10, 10]);
    const answer = await request.answer;
    expect(JSON.parse(answer.body)).toEqual(['UPLOAD_INCOMPLETE', 'UPLOAD_INCOMPLETE']);
    expect(answer.headers.connection).toBe('close');
  });

  it('are not reached behind one that nobody wants and that never ends', async () => {
    resolver = async ({ files: [, b] }) => [await outcome(b!)];
    const request = await new MultipartRequest(url).head(operations, map);
    await request.beginFile('a', 'a.bin');
    await request.raw('some bytes');
    const began = Date.now();
    expect(JSON.parse((await request.answer).body)).toEqual(['UPLOAD_INCOMPLETE']);
    expect(Date.now() - began).toBeLessThan(4000);
  });

  it('are reached behind a large one that was refused', async () => {
    const refuse = (file: IncomingFile): Promise<unknown> =>
      file
        .receive(async ({ bytes }) => {
          for await (const _chunk of bytes) throw new ParleyError('FILE_TYPE_NOT_ALLOWED', 'No.');
        })
        .catch((error: unknown) => (error as ParleyError).code);
    resolver = ({ files: [a, b, c] }) => Promise.all([refuse(a!), outcome(b!), outcome(c!)]);
    const request = await send([5 * MIB, 2 * MIB, 10]);
    expect(JSON.parse((await request.end()).body)).toEqual([
      'FILE_TYPE_NOT_ALLOWED',
      'b.bin:2097152',
      'c.bin:10',
    ]);
  });

  it('are reached behind one whose reader failed before its first byte', async () => {
    const fail = (file: IncomingFile): Promise<unknown> =>
      file.receive(() => Promise.reject(new Error('no lease'))).catch((error: unknown) => String(error));
    resolver = ({ files: [a, b, c] }) => Promise.all([fail(a!), outcome(b!), outcome(c!)]);
    const request = await send([2 * MIB, 20, 10]);
    expect(JSON.parse((await request.end()).body)).toEqual(['Error: no lease', 'b.bin:20', 'c.bin:10']);
  });

  it('that are missing fail when the request ends', async () => {
    resolver = ({ files }) => Promise.all(files.map(outcome));
    const request = await send([10, 20], ['a', 'c']);
    expect(JSON.parse((await request.end()).body)).toEqual(['a.bin:10', 'UPLOAD_INCOMPLETE', 'c.bin:20']);
  });

  it('may share the request with parts that the map does not name, or names twice', async () => {
    resolver = ({ files: [a, b] }) => Promise.all([a!, b!].map(outcome));
    const request = await new MultipartRequest(url).head(operations, map);
    await request.file('stranger', 'x.bin', randomBytes(200_000));
    await request.file('a', 'a.bin', randomBytes(100));
    await request.file('a', 'again.bin', randomBytes(200_000));
    await request.file('b', 'b.bin', randomBytes(200));
    expect(JSON.parse((await request.end()).body)).toEqual(['a.bin:100', 'b.bin:200']);
  });

  it('are read once', async () => {
    resolver = async ({ files: [a] }) => [await outcome(a!), await outcome(a!)];
    const request = await send([10, 10, 10]);
    expect(JSON.parse((await request.end()).body)).toEqual(['a.bin:10', 'UPLOAD_INCOMPLETE']);
  });

  it('break off with an error where the client goes away, never with a silent end', async () => {
    const seen: string[] = [];
    resolver = async ({ files }) => {
      seen.push(...(await Promise.all(files.map(outcome))));
    };
    const request = await new MultipartRequest(url).head(operations, map);
    await request.file('a', 'a.bin', 'whole');
    await request.beginFile('b', 'b.bin');
    await request.raw(randomBytes(100_000));
    await request.abort();
    await delay(50);
    await handled;
    expect(seen).toEqual(['a.bin:5', 'UPLOAD_INCOMPLETE', 'UPLOAD_INCOMPLETE']);
  });

  it('break off with an error where the body ends too soon', async () => {
    resolver = ({ files: [a, b] }) => Promise.all([a!, b!].map(outcome));
    const request = await new MultipartRequest(url).head(operations, map);
    await request.beginFile('a', 'a.bin');
    await request.raw('half a fi');
    expect(JSON.parse((await request.cutOff()).body)).toEqual(['UPLOAD_INCOMPLETE', 'UPLOAD_INCOMPLETE']);
  });

  it('break off with an error where a part header is malformed', async () => {
    resolver = ({ files: [a, b] }) => Promise.all([a!, b!].map(outcome));
    const request = await new MultipartRequest(url).head(operations, map);
    await request.raw('--parley-test-boundary\r\nContent Disposition\u0000: x\r\n\r\nbytes\r\n');
    expect(JSON.parse((await request.end()).body)).toEqual(['UPLOAD_INCOMPLETE', 'UPLOAD_INCOMPLETE']);
  });

  it('break off with an error where a part header never ends', async () => {
    resolver = ({ files: [a] }) => Promise.all([outcome(a!)]);
    const request = await new MultipartRequest(url).head(operations, map);
    await request.raw(
      `--parley-test-boundary\r\nContent-Disposition: form-data; name="a"; x="${'x'.repeat(1000)}`,
    );
    for (let i = 0; i < 100; i += 1) await request.raw('x'.repeat(1000));
    expect(JSON.parse((await request.answer).body)).toEqual(['UPLOAD_INCOMPLETE']);
  });

  it('are cut off behind more parts than a request may have', async () => {
    resolver = ({ files: [, , c] }) => Promise.all([outcome(c!)]);
    const request = await new MultipartRequest(url).head(operations, map);
    for (let i = 0; i < 10_000; i += 1) await request.file(`x${i}`, 'x.bin', 'x');
    expect(JSON.parse((await request.end()).body)).toEqual(['UPLOAD_INCOMPLETE']);
  });

  it('that come in chunks are answered once the last one was read, and the connection serves on', async () => {
    const agent = new Agent({ keepAlive: true });
    const request = await new MultipartRequest(url, {}, agent).head(operations, map);
    for (const name of ['a', 'b', 'c']) await request.file(name, `${name}.bin`, 'x');
    await request.raw('--parley-test-boundary--\r\n');
    const { body, headers } = await request.answer;
    expect(JSON.parse(body)).toEqual(['a.bin:1', 'b.bin:1', 'c.bin:1']);
    expect(headers.connection).toBe('keep-alive');
    agent.destroy();
  });
});

describe('parts of a multipart request', () => {
  const part = (disposition: string, body: string | Buffer, type?: string): Buffer =>
    Buffer.concat([
      Buffer.from(
        `--parley-test-boundary\r\nContent-Disposition: form-data; ${disposition}\r\n` +
          `${type === undefined ? '' : `Content-Type: ${type}\r\n`}\r\n`,
      ),
      Buffer.from(body),
      Buffer.from('\r\n'),
    ]);
  const answerTo = async (parts: readonly Buffer[], headers: Record<string, string> = {}) => {
    const request = new MultipartRequest(url, headers);
    for (const bytes of parts) await request.raw(bytes);
    return request.end();
  };
  const OPERATIONS = part('name="operations"', JSON.stringify(operations));
  const MAP = part('name="map"', JSON.stringify({ a: ['variables.files.0'] }));

  beforeEach(() => {
    resolver = ({ files: [a] }) => Promise.all([readAll(a!)]);
  });

  it.each([
    ['without a file name', part('name="a"', 'abc')],
    ['with an empty file name', part('name="a"; filename=""', 'abc', 'text/plain')],
    ['with an empty file name that is not quoted', part('name=a; filename=', 'abc', 'image/png')],
    ['with a type alone', part('name="a"', 'abc', 'application/octet-stream')],
    ['with a type in a charset', part('name="a"', 'abc', 'text/csv; charset=latin1')],
  ])('are files where the map names them, %s', async (_what, file) => {
    expect((await answerTo([OPERATIONS, MAP, file])).body).toBe('["file:3"]');
  });

  it('are files where the map names them by letters of any kind', async () => {
    const map = part('name="map"', JSON.stringify({ 'ü"\\': ['variables.files.0'] }));
    expect((await answerTo([OPERATIONS, map, part('name="ü\\"\\\\"', 'abc')])).body).toBe('["file:3"]');
  });

  it('that a Blob was made for are operations and map all the same', async () => {
    const blobs = [
      part('name="operations"; filename="blob"', `\uFEFF${JSON.stringify(operations)}`, 'application/json'),
      part('name="map"; filename="blob"', '{"a":["variables.files.0"]}', 'application/octet-stream'),
    ];
    expect((await answerTo([...blobs, part('name="a"; filename="a.bin"', 'abc')])).body).toBe('["a.bin:3"]');
  });

  it('that nobody asks for pass, wherever they stand', async () => {
    const field = part('name="x"', 'y'.repeat(1000));
    const [before, between, after] = [3, 4, 5].map((count) => Array.from({ length: count }, () => field));
    const parts = [...before!, OPERATIONS, ...between!, MAP, ...after!, part('name="a"', 'abc'), field];
    expect((await answerTo(parts)).body).toBe('["file:3"]');
  });

  it('that come twice count once', async () => {
    const other = part('name="operations"', '{"query":"{ y }","variables":{"files":[null]}}');
    expect((await answerTo([OPERATIONS, other, MAP, MAP, part('name="a"', 'abc')])).body).toBe('["file:3"]');
  });

  it('are read whatever capitals the type is written in', async () => {
    const headers = { 'content-type': 'Multipart/Form-Data ; boundary="parley-test-boundary"' };
    expect((await answerTo([OPERATIONS, MAP, part('name="a"', 'abc')], headers)).body).toBe('["file:3"]');
  });

  it.each([
    ['of another charset', part('name="operations"', '{}', 'application/json; charset=utf-16')],
    ['that are no UTF-8', part('name="operations"', Buffer.from('{"query":"é"}', 'latin1'))],
  ])('%s are refused, not read damaged', async (_what, bad) => {
    expect((await answerTo([bad, MAP])).status).toBe(400);
  });

  it('at several places are read there side by side, each whole', async () => {
    const bytes = randomBytes(3 * MIB);
    const hashes: string[] = [];
    const hashOf = (file: IncomingFile): Promise<unknown> =>
      file.receive(async ({ bytes: chunks }) => {
        const hash = createHash('sha256');
        for await (const chunk of chunks) {
          hash.update(chunk);
          // As storage does with what it has taken.
          chunk.fill(0);
        }
        hashes.push(hash.digest('hex'));
      });
    resolver = async ({ files }) => {
      await Promise.all(files.map(hashOf));
    };
    const map = part(
      'name="map"',
      JSON.stringify({ a: [0, 1, 2].map((i) => `variables.files.${String(i)}`) }),
    );
    await answerTo([OPERATIONS, map, part('name="a"', bytes)]);
    expect(hashes).toEqual(Array(3).fill(createHash('sha256').update(bytes).digest('hex')));
  });

  it('at several places fail where one asks late or does not read, and the others do not wait for it', async () => {
    const map = part(
      'name="map"',
      JSON.stringify({ a: [0, 1, 2].map((i) => `variables.files.${String(i)}`) }),
    );
    const idle = (file: IncomingFile): Promise<string> =>
      file
        .receive(async ({ bytes }) => {
          await read;
          for await (const _chunk of bytes) return 'read';
          return 'nothing';
        })
        .catch((error: unknown) => (error as ParleyError).code);
    let read: Promise<unknown> = Promise.resolve();
    resolver = async ({ files: [a, b, c] }) => {
      read = outcome(a!);
      const idled = idle(b!);
      return [await read, await outcome(c!), await idled];
    };
    const { body } = await answerTo([OPERATIONS, map, part('name="a"', 'abc')]);
    expect(JSON.parse(body)).toEqual(['file:3', 'UPLOAD_INCOMPLETE', 'UPLOAD_INCOMPLETE']);
  });

  it('at several places go on where one has had enough, and break off together', async () => {
    resolver = async ({ files: [a, b] }) => {
      const refused = a!.receive(async ({ bytes }) => {
        for await (const _chunk of bytes) throw new ParleyError('FILE_TYPE_NOT_ALLOWED', 'No.');
      });
      return Promise.all([refused.catch((error: unknown) => (error as ParleyError).code), outcome(b!)]);
    };
    const map = part('name="map"', JSON.stringify({ a: ['variables.files.0', 'variables.files.1'] }));
    const { body } = await answerTo([OPERATIONS, map, part('name="a"', randomBytes(MIB))]);
    expect(JSON.parse(body)).toEqual(['FILE_TYPE_NOT_ALLOWED', `file:${String(MIB)}`]);

    resolver = ({ files: [a, b] }) => Promise.all([a!, b!].map(outcome));
    const request = new MultipartRequest(url);
    for (const bytes of [OPERATIONS, map, part('name="a"', 'half').subarray(0, -2)]) await request.raw(bytes);
    expect(JSON.parse((await request.cutOff()).body)).toEqual(['UPLOAD_INCOMPLETE', 'UPLOAD_INCOMPLETE']);
  });
});

describe('the answer', () => {
  it('comes at once while the client is still sending, and the connection ends', async () => {
    resolver = () => Promise.resolve('no thanks');
    const request = new MultipartRequest(url, { 'content-length': String(100 * MIB) });
    await request.head(operations, map);
    await request.beginFile('a', 'a.bin');
    const chunk = randomBytes(MIB);
    for (let i = 0; i < 100; i += 1) await request.raw(chunk);
    const answer = await request.answer;
    expect(answer.body).toBe('"no thanks"');
    expect(answer.headers.connection).toBe('close');
  });

  it('is not overtaken by a reset, however much is on its way, until the client has had its time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      resolver = () => Promise.resolve('no thanks');
      const socket = connect({ port: Number(new URL(url).port), allowHalfOpen: true });
      let [text, broken] = ['', false];
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('error', () => (broken = true));
      const field = (name: string, value: unknown): string =>
        `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${JSON.stringify(value)}\r\n`;
      socket.write(
        'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n' +
          `Content-Length: ${String(100 * MIB)}\r\n\r\n${field('operations', operations)}${field('map', map)}` +
          '--b\r\nContent-Disposition: form-data; name="a"; filename="a.bin"\r\n\r\n',
      );
      const chunk = randomBytes(MIB);
      for (let i = 0; i < 50; i += 1) socket.write(chunk);
      const turns = async (): Promise<void> => {
        for (let i = 0; i < 500; i += 1) await new Promise((resolve) => setImmediate(resolve));
      };
      while (!text.includes('no thanks')) await turns();
      await turns();
      expect(broken).toBe(false);
      vi.advanceTimersByTime(2000);
      while (!broken) await turns();
      socket.destroy();
    } finally {
      vi.useRealTimers();
    }
  });

  it('comes when the resolver throws, and small rests leave the connection usable', async () => {
    resolver = () => Promise.reject(new ParleyError('FORBIDDEN', 'No.'));
    const form = new FormData();
    form.set('operations', JSON.stringify(operations));
    form.set('map', JSON.stringify(map));
    form.set('a', new Blob([randomBytes(500_000)]), 'a.bin');
    const whole = new Response(form);
    const body = Buffer.from(await whole.arrayBuffer());
    const head =
      'POST / HTTP/1.1\r\nHost: x\r\n' +
      `Content-Type: ${whole.headers.get('content-type') ?? ''}\r\nContent-Length: ${String(body.length)}\r\n\r\n`;

    const socket = connect(Number(new URL(url).port));
    let answers = 0;
    socket.on('data', (chunk) => (answers += chunk.toString().split('FORBIDDEN').length - 1));
    for (let i = 1; i <= 3; i += 1) {
      socket.write(head);
      socket.write(body);
      await expect.poll(() => answers).toBe(i);
    }
    socket.destroy();
  });

  it('does not wait for a client that stops sending, whose connection ends', async () => {
    resolver = () => Promise.resolve('done');
    const request = await new MultipartRequest(url).head(operations, map);
    await request.beginFile('a', 'a.bin');
    expect((await request.answer).body).toBe('"done"');
    const closed = Date.now();
    while ((await connections()) > 0) await delay(50);
    expect(Date.now() - closed).toBeLessThan(4000);
  });
});

const connections = (): Promise<number> =>
  new Promise((resolve, reject) =>
    server.getConnections((error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    }),
  );

describe('a request that breaks the spec', () => {
  const refused = async (given: unknown, mapText: string): Promise<string> => {
    const request = new MultipartRequest(url);
    await request.field('operations', typeof given === 'string' ? given : JSON.stringify(given));
    await request.field('map', mapText);
    await request.file('a', 'a.bin', 'x');
    const { status, body } = await request.end();
    return `${String(status)} ${body}`;
  };

  it.each([
    ['operations that are no JSON', '{', '{}'],
    ['operations that are no object', '7', '{}'],
    ['a map that is no JSON', operations, 'x'],
    ['a map that is no object', operations, '[]'],
    ['an entry that is no list', operations, '{"a":"variables.files.0"}'],
    ['an entry that is empty', operations, '{"a":[]}'],
    ['a place that is no text', operations, '{"a":[0]}'],
    ['a place that is not there', operations, '{"a":["variables.file"]}'],
    ['a place beyond a list', operations, '{"a":["variables.files.3"]}'],
    ['a place in a list that is no index', operations, '{"a":["variables.files.length"]}'],
    [
      'a place that holds something',
      { query: '{ x }', variables: { file: 'x' } },
      '{"a":["variables.file"]}',
    ],
    ['a place outside the variables', { query: null, variables: {} }, '{"a":["query"]}'],
    ['two files at one place', operations, '{"a":["variables.files.0"],"b":["variables.files.0"]}'],
    ['a place in a prototype', operations, '{"a":["variables.__proto__.x"]}'],
    ['a place in a constructor', operations, '{"a":["variables.constructor.prototype.x"]}'],
    ['a place in an inherited method', operations, '{"a":["variables.files.map.call"]}'],
    ['a place named like a prototype', '{"variables":{"__proto__":null}}', '{"a":["variables.__proto__"]}'],
  ])('is refused: %s', async (_what, given, mapText) => {
    expect(await refused(given, mapText)).toMatch(/^400 /);
    expect(Object.hasOwn(Array.prototype.map, 'call')).toBe(false);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('is refused: too many files, fields too large', async () => {
    const many = { query: '{ x }', variables: { files: Array.from({ length: 6 }, () => null) } };
    const places = Object.fromEntries(
      many.variables.files.map((_, i) => [String(i), [`variables.files.${String(i)}`]]),
    );
    expect(await refused(many, JSON.stringify(places))).toMatch(/^413 /);
    expect(await refused({ query: 'x'.repeat(70_000) }, '{}')).toMatch(/^413 /);
  });

  it('is refused: a file before the map, no map, no fields, no boundary, an endless preamble', async () => {
    const early = await new MultipartRequest(url).file('a', 'a.bin', 'x');
    expect((await early.end()).status).toBe(400);
    const noMap = await new MultipartRequest(url).field('operations', '{}');
    expect((await noMap.end()).status).toBe(400);
    expect((await new MultipartRequest(url).end()).status).toBe(400);
    expect(
      (await new MultipartRequest(url, { 'content-type': 'multipart/form-data; x=y' }).end()).status,
    ).toBe(400);
    const endless = new MultipartRequest(url);
    for (let i = 0; i < 40; i += 1) await endless.raw(randomBytes(MIB));
    expect((await endless.answer).status).toBe(413);
  });

  it('is served: a batch, whose operations have their places too', async () => {
    const batch = [{ query: '{ x }', variables: { file: null } }];
    const request = await new MultipartRequest(url).head(batch, { a: ['0.variables.file'] });
    resolver = () => Promise.resolve('a batch');
    await request.file('a', 'a.bin', 'x');
    expect((await request.end()).body).toBe('"a batch"');
  });
});

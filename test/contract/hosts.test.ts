import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { within } from '../support/deadline.js';

const QUERY = '{"query":"{ __typename }"}';
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n';

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Sends what no library would, and answers the first of what comes back. */
async function raw(app: App, text: string): Promise<Answer> {
  const { hostname, port } = new URL(app.url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
  socket.write(text, 'latin1');
  const whole = async (): Promise<void> => {
    while (!socket.destroyed) {
      const [head, body = ''] = answer.split('\r\n\r\n');
      const length = /^content-length: (\d+)$/im.exec(head ?? '')?.[1];
      if (answer.startsWith('HTTP/1.1 101') || (length !== undefined && body.length >= Number(length)))
        return;
      await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    }
  };
  await within(10_000, 'an answer', whole());
  socket.destroy();
  return { status: Number(answer.split(' ')[1]), text: answer };
}

const post = (app: App, hosts: string, target = '/graphql', more = ''): Promise<Answer> =>
  raw(
    app,
    `POST ${target} HTTP/1.1\r\n${hosts}${more}Content-Type: application/json\r\nContent-Length: ${String(QUERY.length)}\r\n\r\n${QUERY}`,
  );
const host = (name: string): string => `Host: ${name}\r\n`;
const upgrade = (app: App, name: string, more = '', target = '/graphql'): Promise<Answer> =>
  raw(app, `GET ${target} HTTP/1.1\r\n${host(name)}${more}${UPGRADE}\r\n`);

describe('A server that knows no address of its own', () => {
  let app: App;

  beforeAll(async () => {
    app = await startParley();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test.each([
    'parley.1:4000',
    '1.2.3.4.5',
    '%',
    'a%20b',
    'a b',
    'a/b',
    'a?b',
    'a#b',
    'user@host',
    'a:b',
    'a:99999',
    '[::1',
    '[::g]',
    '\xfc',
  ])('refuses a Host of %j with 400 on every path, and says nothing of itself', async (name) => {
    const answers = [
      await post(app, host(name)),
      await raw(app, `GET /livez HTTP/1.1\r\n${host(name)}\r\n`),
      await raw(app, `GET /files/x HTTP/1.1\r\n${host(name)}\r\n`),
      await raw(app, `HEAD /uploads/x HTTP/1.1\r\n${host(name)}\r\n`).catch(() => ({
        status: 400,
        text: '',
      })),
      await upgrade(app, name),
    ];
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400]);
    for (const { text } of answers) expect(text).not.toMatch(/node_modules|\.js|Error:/);
  });

  test.each([
    'parley',
    'parley.example.com:4000',
    'LOCALHOST:',
    'ex_ample.com',
    '10.0.0.1:80',
    '[::1]:4000',
    'xn--bcher-kva.example',
  ])('takes a Host of %j', async (name) => {
    expect((await post(app, host(name))).text).toContain('{"data":{"__typename":"Query"}}');
    expect((await upgrade(app, name)).status).toBe(101);
  });

  test('takes one Host', async () => {
    expect((await post(app, host('a') + host('a'))).status).toBe(400);
    expect((await post(app, `host: a\r\nHOST: b\r\n`)).status).toBe(400);
    expect((await upgrade(app, 'a', host('b'))).status).toBe(400);
    expect((await post(app, '')).status).toBe(400);
  });

  test.each([
    ['http://parley.example.com/graphql', 200],
    ['HTTP://Parley.Example.com:80/graphql', 200],
    ['https://parley.example.com/graphql?a=b', 200],
    ['http://parley.example.com/nothing', 404],
    ['http://user@parley.example.com/graphql', 400],
    ['http://parley.1/graphql', 400],
    ['ftp://parley.example.com/graphql', 400],
  ])('takes the target %s as the path that it names', async (target, status) => {
    expect((await post(app, host('proxy'), target)).status).toBe(status);
  });

  test('takes such a target for all else too', async () => {
    expect((await raw(app, `GET http://a/livez HTTP/1.1\r\n${host('a')}\r\n`)).status).toBe(200);
    const query = encodeURIComponent('{ __typename }');
    const get = await raw(
      app,
      `GET http://a/graphql?query=${query} HTTP/1.1\r\n${host('a')}x-graphql-yoga-csrf: 1\r\n\r\n`,
    );
    expect(get.text).toContain('{"data":{"__typename":"Query"}}');
    expect((await upgrade(app, 'a', '', 'http://a/graphql')).status).toBe(101);
    // `//host` is a path.
    expect((await raw(app, `GET //a/livez HTTP/1.1\r\n${host('a')}\r\n`)).status).toBe(404);
  });

  test('takes pages of any origin that was made to lead to it', async () => {
    const origin = 'Origin: http://evil.example.com\r\n';
    expect((await post(app, host('evil.example.com'), '/graphql', origin)).status).toBe(200);
    expect((await upgrade(app, 'evil.example.com', origin)).status).toBe(101);
  });
});

describe('A server with PUBLIC_URL and CORS_ORIGINS', () => {
  let app: App;

  beforeAll(async () => {
    app = await startParley('embedded', {
      PUBLIC_URL: 'https://chat.example.com/base',
      CORS_ORIGINS: 'https://*.apps.example.com/, CAPACITOR://localhost, http://listed.example.com:80',
    });
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test.each([
    ['its own', 'https://chat.example.com', 'chat.example.com', true],
    ['its own, behind a proxy that names another host', 'https://chat.example.com', 'app-1:4000', true],
    ['none', undefined, 'evil.example.com', true],
    ['a listed one', 'http://listed.example.com', 'chat.example.com', true],
    ['one of a family', 'https://a.apps.example.com', 'chat.example.com', true],
    ['one deeper in a family', 'https://a.b.apps.example.com', 'chat.example.com', true],
    ['an app', 'capacitor://localhost', 'chat.example.com', true],
    ['its address', 'http://127.0.0.1:4000', '127.0.0.1:4000', true],
    ['its IPv6 address', 'http://[::1]:4000', '[::1]:4000', true],
    ['localhost', 'http://localhost:4000', 'localhost:4000', true],
    ['a page that was made to lead to it', 'http://evil.example.com:4000', 'evil.example.com:4000', false],
    ['another page', 'https://evil.example.com', 'chat.example.com', false],
    ['another port', 'https://chat.example.com:8443', 'chat.example.com', false],
    ['another scheme', 'http://chat.example.com', 'chat.example.com', false],
    ['another page of this machine', 'http://127.0.0.1:3000', '127.0.0.1:4000', false],
    ['the head of a family', 'https://apps.example.com', 'chat.example.com', false],
    ['one that only ends alike', 'https://evilapps.example.com', 'chat.example.com', false],
    ['a family in plain HTTP', 'http://a.apps.example.com', 'chat.example.com', false],
    ['one with a path in it', 'https://evil.example.com/.apps.example.com', 'chat.example.com', false],
    ['another app', 'ionic://localhost', 'chat.example.com', false],
    ['a sandboxed frame', 'null', 'chat.example.com', false],
  ])('lets a page of %s use it through a browser, or not', async (_what, origin, name, may) => {
    const more = origin === undefined ? '' : `Origin: ${origin}\r\n`;
    const [query, socket] = [await post(app, host(name), '/graphql', more), await upgrade(app, name, more)];
    expect([query.status, socket.status]).toEqual(may ? [200, 101] : [403, 403]);
    expect(query.text.includes('"data"')).toBe(may);
    if (!may) {
      expect(query.text).toContain('"code":"BAD_REQUEST"');
      expect(query.text).not.toMatch(/access-control-allow-origin/i);
    }
  });

  test('serves what is no page’s alone to all: health, and links', async () => {
    const origin = 'Origin: http://evil.example.com\r\n';
    expect((await raw(app, `GET /livez HTTP/1.1\r\n${host('evil.example.com')}${origin}\r\n`)).status).toBe(
      200,
    );
    const link = await raw(app, `GET /files/x HTTP/1.1\r\n${host('chat.example.com')}${origin}\r\n`);
    expect(link.text).toMatch(/^HTTP\/1.1 403[^]*access-control-allow-origin: \*/i);
  });

  test('says whose pages may read each answer, refusals of uploads among them', async () => {
    for (const [method, more] of [
      ['POST', ''],
      ['HEAD', 'Tus-Resumable: 0.2.2\r\n'],
      ['PATCH', 'Tus-Resumable: 1.0.0\r\nUpload-Checksum: x\r\nContent-Length: 0\r\n'],
      ['DELETE', 'Tus-Resumable: 1.0.0\r\n'],
    ] as const) {
      for (const origin of [
        'https://a.apps.example.com',
        'capacitor://localhost',
        'https://evil.example.com',
      ]) {
        const { status, text } = await raw(
          app,
          `${method} /uploads/x HTTP/1.1\r\n${host('chat.example.com')}Connection: close\r\nOrigin: ${origin}\r\n${more}\r\n`,
        );
        expect(status).toBeGreaterThanOrEqual(400);
        const allowed = /^access-control-allow-origin: (.*)\r$/im.exec(text)?.[1];
        expect(allowed).toBe(origin.includes('evil') ? undefined : origin);
      }
    }
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { makePlace, type Place } from '../support/app.js';
import { Client, PASSWORD, signUp, word } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { EventStream } from '../support/event-stream.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { ServerProcess } from '../support/process.js';

let place: Place;
let server: ServerProcess;
let user: Client;
let roomId: string;

beforeAll(async () => {
  place = await makePlace('embedded');
  server = await ServerProcess.start(place, { LOG_LEVEL: 'trace', TRUST_PROXY: '127.0.0.2' });
  user = await signUp(server.url);
  roomId = await user.createRoom();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

type Line = Record<string, unknown>;

/** The first line that is such a one, once it was logged. */
const logged = (what: string, is: (line: Line) => boolean): Promise<Line> =>
  eventually(5000, `a line of ${what}`, () =>
    server.log
      .split('\n')
      .slice(0, -1)
      .map((text) => JSON.parse(text) as Line)
      .find(is),
  );

const ask = (query: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...user.headers(), ...headers },
    body: JSON.stringify({ query }),
  });

describe('A sign-in that fails', () => {
  const signIn = (password: string, address: string): Promise<unknown> =>
    new Client(server.url).ask(`mutation ($input: SignInInput!) { signIn(input: $input) { user { id } } }`, {
      input: { email: `${address}@example.com`, password },
    });

  test('is a line with the address and the code, and without what was tried', async () => {
    await signIn('a wrong one', 'nobody');
    const line = await logged('the failure', ({ msg }) => msg === 'sign-in failed');
    expect(line).toEqual({
      level: 40,
      time: expect.any(Number),
      pid: expect.any(Number),
      hostname: expect.any(String),
      requestId: expect.any(String),
      address: '127.0.0.1',
      code: 'UNAUTHENTICATED',
      msg: 'sign-in failed',
    });
    for (let i = 0; i < 11; i++) await signIn('a wrong one', 'guessed');
    await logged('a refusal', ({ msg, code }) => msg === 'sign-in failed' && code === 'RATE_LIMITED');
    expect(server.log).not.toMatch(/a wrong one|guessed@/);
  });
});

describe('A request', () => {
  test('is one line, with what was asked, by whom, and how it went', async () => {
    const response = await ask('query WhoAmI { viewer { id } }');
    const length = (await response.text()).length;
    const line = await logged('the request', ({ operation }) => operation === 'WhoAmI');
    expect(line).toMatchObject({
      level: 30,
      msg: 'request',
      requestId: response.headers.get('x-request-id'),
      method: 'POST',
      path: '/graphql',
      kind: 'query',
      status: 200,
      aborted: false,
      ms: expect.any(Number),
    });
    // Not the global id, which is the same in another spelling.
    expect(line['userId']).toMatch(/^[0-9a-f-]{36}$/);
    expect(line['bytes']).toBeGreaterThan(length);
    expect(server.log.split('\n').filter((text) => text.includes('"WhoAmI"'))).toHaveLength(1);
  });

  test('of a probe is logged at the level debug', async () => {
    await fetch(`${server.url}/livez?x=1`);
    expect(await logged('the probe', ({ path }) => path === '/livez')).toMatchObject({ level: 20 });
  });

  test('is called as a trusted proxy calls it, and as nobody else does', async () => {
    const { hostname, port } = new URL(server.url);
    const idOf = async (localAddress: string, given: string): Promise<string | undefined> => {
      const req = request({
        hostname,
        port,
        path: '/livez',
        localAddress,
        headers: { 'x-request-id': given },
      });
      const [res] = (await once(req.end(), 'response')) as [IncomingMessage];
      res.resume();
      return res.headers['x-request-id'] as string | undefined;
    };
    expect(await idOf('127.0.0.2', 'from-the-proxy:1')).toBe('from-the-proxy:1');
    expect(await idOf('127.0.0.3', 'from-anyone')).toMatch(/^[0-9a-f-]{36}$/);
    expect(await idOf('127.0.0.2', 'with "quotes"')).toMatch(/^[0-9a-f-]{36}$/);
    expect(await idOf('127.0.0.2', 'x'.repeat(129))).toMatch(/^[0-9a-f-]{36}$/);
  });
});

test('A socket is a line when it ends, and its operations are lines at the level debug', async () => {
  const socket = live(user);
  await subscribe(socket, 'query OnSocket { viewer { id } }').take(1, 'viewer');
  await socket.dispose();
  const operation = await logged('the operation', (line) => line['operation'] === 'OnSocket');
  expect(operation).toMatchObject({
    level: 20,
    msg: 'socket operation',
    kind: 'query',
    userId: expect.any(String),
  });
  const end = await logged(
    'the end',
    (line) => line['msg'] === 'socket' && line['connectionId'] === operation['connectionId'],
  );
  expect(end).toMatchObject({ level: 30, code: 1000, operations: 1, userId: operation['userId'] });
  expect(end['sent']).toBeGreaterThan(50);
});

test('No token, signature, password or name of a file is in a log of the level trace, wherever it was sent', async () => {
  const secrets = new Set([PASSWORD, user.token!, user.refreshToken]);

  // As variables: sign in rightly and wrongly, refresh, refresh with what is spent.
  const signIn = 'mutation ($input: SignInInput!) { signIn(input: $input) { accessToken refreshToken } }';
  const email = `${user.handle}@example.com`;
  const { signIn: session } = await new Client(server.url).run(signIn, {
    input: { email, password: PASSWORD },
  });
  const wrong = `wrong ${word()}`;
  await new Client(server.url).ask(signIn, { input: { email, password: wrong } });
  const refresh =
    'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { accessToken refreshToken } }';
  const { refreshSession: next } = await new Client(server.url).run(refresh, {
    input: { refreshToken: session.refreshToken },
  });
  const unknown = word().repeat(4);
  await new Client(server.url).ask(refresh, { input: { refreshToken: unknown } });
  // In the document itself, and in one that is broken.
  await ask(`mutation { signIn(input: { email: "${email}", password: "${wrong}" }) { accessToken } }`);
  await ask(`mutation { signIn(input: { password: "${wrong}" `);
  await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"password":"${wrong}"`,
  });
  for (const secret of [
    session.accessToken,
    session.refreshToken,
    wrong,
    next.accessToken,
    next.refreshToken,
    unknown,
  ])
    secrets.add(secret as string);

  // In the header, good and forged.
  const forged = `${user.token!.slice(0, -6)}forged`;
  secrets.add(forged);
  await ask('{ viewer { id } }', { authorization: `Bearer ${forged}` });
  await ask('{ viewer { id } }', { authorization: `Bearer ${forged.split('.', 2).join('.')}` });

  // In addresses: of a socket, of an event stream, of a request that is none of ours.
  const ws = new WebSocket(
    `${server.url.replace('http', 'ws')}/graphql?token=${user.token}`,
    'graphql-transport-ws',
  );
  await once(ws, 'open');
  ws.send('{"type":"connection_init"}');
  await once(ws, 'message');
  ws.send(`{"type":"subscribe","id":"1","payload":{"query":"{ nothing(password: \\"${wrong}\\") }"}}`);
  await once(ws, 'message');
  ws.close(1000, user.token!.slice(0, 40));
  await once(ws, 'close');
  const bad = new WebSocket(
    `${server.url.replace('http', 'ws')}/graphql?token=${forged}`,
    'graphql-transport-ws',
  );
  await once(bad, 'open');
  bad.send('{"type":"connection_init"}');
  await once(bad, 'close');
  const params = new URLSearchParams({
    query: ROOM_EVENTS,
    variables: JSON.stringify({ roomId }),
    token: user.token!,
  });
  const stream = await EventStream.open(`${server.url}/graphql?${params}`, {
    headers: { accept: 'text/event-stream' },
  });
  stream.close();
  await fetch(`${server.url}/nowhere?token=${user.token}`);

  // In connectionParams.
  const socket = live(user);
  await subscribe(socket, '{ viewer { id } }').take(1, 'viewer');
  await socket.dispose();

  // In links: good, altered, gone.
  const { data } = await user.upload(roomId, 'letter-of-resignation.txt', 'some bytes');
  const link = data['uploadFile'].file.url as string;
  const signature = new URL(link).searchParams.get('signature')!;
  secrets.add(signature);
  await fetch(link).then((response) => response.text());
  await fetch(`${link}0`);
  await user.run('mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { eventCursor } }', {
    id: data['uploadFile'].file.id,
  });
  await fetch(link);

  await logged(
    'the last request',
    ({ path, status }) => String(path).startsWith('/files/') && status === 410,
  );
  secrets.add('letter-of-resignation');
  // A token that is refreshed within its second is the same one.
  expect(secrets.size).toBeGreaterThanOrEqual(10);
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(10);
    expect(server.log).not.toContain(secret);
    expect(server.log).not.toContain(encodeURIComponent(secret));
  }
  // Nobody logs them: there was nothing to cut out.
  expect(server.log).not.toContain('[redacted]');
  // Nor a token in part.
  for (const part of user.token!.split('.').slice(1)) expect(server.log).not.toContain(part);
  expect(server.log).not.toMatch(/[?&](token|signature|expires)=/);
});

describe('Lines that were logged before', () => {
  const COUNT = 20_000;

  /** Runs a process that logs `COUNT` lines in one go and then does this; they go to `stderr`. Answers what came out of a pipe. */
  async function linesTo(stderr: 'pipe' | number, end: string): Promise<string> {
    const script = `
      const { createLogger } = await import('./src/observability/logger.ts');
      const logger = createLogger('info');
      for (let n = 0; n < ${COUNT}; n++) logger.info({ n }, 'line');
      for (let n = 0; n < 3; n++) logger.warn({ err: new Error('again') }, 'failed');
      ${end}`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      stdio: ['ignore', 'ignore', stderr],
    });
    let text = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await once(child, 'close');
    return text;
  }

  const wholeLines = (text: string): number =>
    text.split('\n').filter((line) => /^\{.*"msg":"line"\}$/.test(line)).length;

  test.each([
    ['it exits', 'process.exit(0);'],
    ['it breaks', "throw new Error('broken');"],
    ['it runs out of things to do', ''],
  ])('are all written when %s', async (_how, end) => {
    const text = await linesTo('pipe', end);
    expect(wholeLines(text)).toBe(COUNT);
    // And what was counted, though the second was not over.
    expect(text.match(/"repeated":2/g)).toHaveLength(1);
  });

  test('are all written, and whole, where processes share a file', async () => {
    const path = join(place.dataDir, 'shared.log');
    const file = await open(path, 'a');
    await Promise.all([linesTo(file.fd, 'process.exit(0);'), linesTo(file.fd, '')]);
    await file.close();
    expect(wholeLines(await readFile(path, 'utf8'))).toBe(2 * COUNT);
  });
});

import { createHash } from 'node:crypto';
import { createServer, IncomingMessage, request, ServerResponse, type IncomingHttpHeaders } from 'node:http';
import { Socket, type AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGraphiQLPage } from './page.js';

const page = createGraphiQLPage();
const server = createServer((req, res) => void page.handle(req, res));
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => server.close());

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Unlike fetch, it unpacks nothing. */
async function get(headers: Record<string, string>, method = 'GET'): Promise<Answer> {
  const { port } = server.address() as AddressInfo;
  const res = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ port, host: '127.0.0.1', method, headers, agent: false }, resolve).on('error', reject).end();
  });
  return { status: res.statusCode, headers: res.headers, body: await buffer(res) };
}

test('the page is the same packed by brotli, by gzip and not at all', { timeout: 30_000 }, async () => {
  const brotli = await get({ 'accept-encoding': 'gzip, deflate, br, zstd' });
  const gzip = await get({ 'accept-encoding': 'br;q=0, gzip' });
  const plain = await get({});
  expect(brotli.headers).toMatchObject({
    'content-encoding': 'br',
    'content-type': 'text/html; charset=utf-8',
  });
  expect(gzip.headers['content-encoding']).toBe('gzip');
  expect(plain.headers).not.toHaveProperty('content-encoding');
  expect(plain.body.equals(brotliDecompressSync(brotli.body))).toBe(true);
  expect(plain.body.equals(gunzipSync(gzip.body))).toBe(true);
  expect(brotli.body.length).toBeLessThan(plain.body.length / 4);
});

test('who holds the page is told so, and gets none', async () => {
  const first = await get({ 'accept-encoding': 'br' });
  const again = await get({
    'accept-encoding': 'br',
    'if-none-match': `"other", W/${first.headers.etag ?? ''}`,
  });
  expect(again.status).toBe(304);
  expect(again.body).toHaveLength(0);
  const otherEncoding = await get({ 'accept-encoding': 'gzip', 'if-none-match': first.headers.etag ?? '' });
  expect(otherEncoding.status).toBe(200);
});

test('HEAD gets the head', async () => {
  const head = await get({ 'accept-encoding': 'br' }, 'HEAD');
  expect(head.status).toBe(200);
  expect(Number(head.headers['content-length'])).toBeGreaterThan(1_000_000);
  expect(head.body).toHaveLength(0);
});

test('the policy lets no other host in, and no script but those of the page', async () => {
  const { headers, body } = await get({});
  const policy = headers['content-security-policy'];
  const scripts = [...body.toString().matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, text]) =>
    createHash('sha256')
      .update(text ?? '')
      .digest('base64'),
  );
  expect(scripts).toHaveLength(2);
  expect(policy).toContain(`script-src ${scripts.map((hash) => `'sha256-${hash}'`).join(' ')};`);
  expect(policy).toContain(`default-src 'none'`);
  expect(policy).not.toMatch(/https?:|wss?:|\*|unsafe-eval/);
});

test('only one who reads HTML is wanted', () => {
  const req = (method: string, accept?: string) => ({
    method,
    headers: accept === undefined ? {} : { accept },
  });
  expect(page.wants(req('GET', 'text/html,application/xhtml+xml,*/*;q=0.8'))).toBe(true);
  expect(page.wants(req('GET', 'application/json'))).toBe(false);
  expect(page.wants(req('GET', '*/*'))).toBe(false);
  expect(page.wants(req('GET'))).toBe(false);
  expect(page.wants(req('POST', 'text/html'))).toBe(false);
});

test('where the page cannot be made, handling rejects and nothing is sent', async () => {
  const broken = createGraphiQLPage({ examplesDir: '/nowhere' });
  const req = new IncomingMessage(new Socket());
  const res = new ServerResponse(req);
  await expect(broken.handle(req, res)).rejects.toThrow('/nowhere');
  expect(res.headersSent).toBe(false);
});

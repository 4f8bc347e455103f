import { randomBytes } from 'node:crypto';
import { request, type OutgoingHttpHeaders } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { cpuTime } from '../support/work.js';
import { noise, put, WITH_PREVIEWS } from '../support/pictures.js';
import { PNG } from '../support/uploads.js';

/** Most bytes that Node takes as headers of one request are 16 KiB. */
const HEADER = 15_000;
const filled = (unit: string, length = HEADER): string => unit.repeat(Math.floor(length / unit.length));

interface Said {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
}

/** Sends it; answers its status. */
const send = (url: string, { method = 'GET', headers = {}, body }: Said): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      response.resume();
      response.once('end', () => {
        resolve(response.statusCode ?? 0);
      });
      response.once('error', reject);
    });
    sent.once('error', reject);
    sent.end(body);
  });

/** Milliseconds that a request may take of the processor. */
const MOST = 40;
/** With storage and database, which other threads work for. */
const MOST_OF_UPLOAD = 120;

let app: App;
let client: Client;
let roomId: string;
let fileId: string;
let image: string;
let download: string;

beforeAll(async () => {
  app = await startParley('embedded', { ...WITH_PREVIEWS, LOG_LEVEL: 'error', CORS_ORIGINS: '*' });
  client = await signUp(app.url);
  roomId = await client.createRoom();
  fileId = await put(client, roomId, 'a.png', new Uint8Array(await noise(64, 64).png().toBuffer()));
  const asked = `query ($id: ID!) { node(id: $id) { ... on File { url image { url(width: 16) } } } }`;
  const known = await eventually(50_000, 'the image is known', async () => {
    const { node } = await client.run(asked, { id: fileId });
    return node.image !== null && node;
  });
  download = known.url;
  image = known.image.url;
  await send(image, {});
}, 60_000);
afterAll(() => app[Symbol.asyncDispose]());

const NASTY = [
  ',',
  '","',
  '",a/b,',
  ' ',
  ' ,',
  '=',
  ';',
  ';a=b',
  ';a="',
  '\\"',
  'a/b,',
  '*/*;q=0.1,',
  'W/"a",',
  'W/',
  '0-0,',
  '-1,',
  '.',
  'eyJ',
  'eyJ.',
  'a.',
  'Bearer ',
  '%',
  '%22',
  '/',
  '[',
  '127.0.0.1,',
];

describe('The event loop is not held up by a header full of', () => {
  test.each(NASTY)('%j', async (unit) => {
    const text = filled(unit);
    const open = `"${text}`;
    const ask = JSON.stringify({ query: '{ __typename }' });
    const json = { 'content-type': 'application/json' };
    const graphql = `${app.url}/graphql`;
    const requests: [string, Said][] = [
      ...['accept', 'if-none-match', 'range', 'if-range', 'cookie', 'user-agent'].flatMap(
        (name): [string, Said][] => [
          [image, { headers: { [name]: text } }],
          [image, { headers: { [name]: open } }],
          [download, { headers: { [name]: name === 'range' ? `bytes=${text}` : text } }],
        ],
      ),
      ...[
        'accept',
        'authorization',
        'content-type',
        'content-encoding',
        'cookie',
        'forwarded',
        'origin',
        'traceparent',
        'x-forwarded-for',
        'x-request-id',
      ].map((name): [string, Said] => [
        graphql,
        { method: 'POST', headers: { ...json, [name]: text }, body: ask },
      ]),
      [graphql, { headers: { accept: `text/html,${text}`, 'accept-encoding': `br,${text}` } }],
      [graphql, { method: 'POST', headers: { ...json, accept: `text/event-stream,${text}` }, body: ask }],
      [graphql, { method: 'POST', headers: { authorization: `Bearer ${text}`, ...json }, body: ask }],
      [
        graphql,
        {
          method: 'OPTIONS',
          headers: { origin: 'https://a.example', 'access-control-request-headers': text },
        },
      ],
      [`${graphql}?query=${encodeURIComponent(text.slice(0, 4000))}`, { headers: { accept: text } }],
      [`${app.url}/${encodeURIComponent(text.slice(0, 4000))}`, {}],
      [`${app.url}/files/${encodeURI(text.slice(0, 4000))}?signature=`, {}],
      ...['upload-checksum', 'upload-metadata', 'upload-length', 'upload-offset', 'authorization'].map(
        (name): [string, Said] => [
          `${app.url}/uploads/a`,
          { method: 'PATCH', headers: { 'tus-resumable': '1.0.0', [name]: text } },
        ],
      ),
    ];
    for (const [url, said] of requests) {
      const ms = await cpuTime(() => send(url, said), MOST);
      expect(
        ms,
        `${said.method ?? 'GET'} ${url.slice(0, 60)} ${JSON.stringify(said).slice(0, 80)}`,
      ).toBeLessThan(MOST);
    }
  });
});

describe('The event loop is not held up by an upload', () => {
  const upload = (disposition: string, type = 'image/png', boundary = 'b'): Said => ({
    method: 'POST',
    headers: {
      ...client.headers(),
      'apollo-require-preflight': '1',
      'content-type': `multipart/form-data; boundary=${boundary}`,
    },
    body: Buffer.concat([
      Buffer.from(
        [
          `--${boundary}`,
          'content-disposition: form-data; name="operations"',
          '',
          JSON.stringify({
            query: 'mutation ($i: UploadFileInput!) { uploadFile(input: $i) { file { name } } }',
            variables: { i: { roomId, file: null } },
          }),
          `--${boundary}`,
          'content-disposition: form-data; name="map"',
          '',
          '{"0":["variables.i.file"]}',
          `--${boundary}`,
          `content-disposition: form-data; name="0"; ${disposition}`,
          `content-type: ${type}`,
          '',
          '',
        ].join('\r\n'),
      ),
      PNG,
      randomBytes(16),
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
  });

  test.each(['.', ' ', '\\"', '%22', '\u0315\u0300', '\u200B', 'a/', 'é', '日'])(
    'whose name is full of %j',
    async (unit) => {
      const name = filled(unit, 14_000);
      const ms = await cpuTime(
        () => send(`${app.url}/graphql`, upload(`filename="${name}x.png"`)),
        MOST_OF_UPLOAD,
      );
      expect(ms).toBeLessThan(MOST_OF_UPLOAD);
    },
  );

  test('whose boundary or type is long', async () => {
    for (const said of [
      upload('filename="a.png"', `a/${filled('b')}`),
      upload('filename="a.png"', 'image/png', filled('-', 10_000)),
      upload(`filename*=UTF-8''${filled('%C3%A9', 10_000)}`),
    ])
      expect(await cpuTime(() => send(`${app.url}/graphql`, said), MOST_OF_UPLOAD)).toBeLessThan(
        MOST_OF_UPLOAD,
      );
  });
});

describe('A document of hundreds of thousands of characters', () => {
  const ask = (query: string): Promise<number> =>
    cpuTime(async () => {
      const { status, errors } = await client.ask(query, { id: roomId });
      expect([status, errors.length > 10]).toEqual([200, true]);
    }, 500);

  test.each(['\n', '\r', '\r\n', ' ', ',', '\uFEFF', '#\n'])(
    'that begins with %j is answered soon, however many errors it has',
    async (unit) => {
      // A line break is two characters in JSON.
      const start = filled(unit, 300_000);
      // Refused by validation, a hundred times.
      const unknown = Array.from({ length: 900 }, (_, i) => `x${String(i)} { y }`);
      expect(await ask(`${start}{ ${unknown.join(' ')} }`)).toBeLessThan(500);
      // Executed, with an error for each alias.
      const aliases = Array.from({ length: 50 }, (_, i) => `a${String(i)}: room(id: "x") { id }`);
      expect(await ask(`${start}{ ${aliases.join(' ')} }`)).toBeLessThan(500);
    },
  );
});

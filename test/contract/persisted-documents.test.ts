import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { getIntrospectionQuery } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { ConfigError, readConfig } from '../../src/config/env.js';
import { readPersistedDocuments } from '../../src/config/persisted-documents.js';
import { limits } from '../../src/graphql/limits.js';
import { makePlace, startOn, startParley, type Place } from '../support/app.js';
import { Client, signUp, word } from '../support/client.js';
import { EventStream } from '../support/event-stream.js';
import { MultipartRequest } from '../support/multipart-request.js';
import { sendBy } from '../support/ways.js';

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

const NAMED = 'query Named { viewer { user { handle } } }';
const FOLLOW = 'subscription Follow($id: ID!) { roomEvents(roomId: $id) { __typename } }';
const UPLOAD = 'mutation Upload($input: UploadFileInput!) { uploadFile(input: $input) { file { name } } }';
const SIGN_OUT = 'mutation Out { signOut(input: { refreshToken: "none" }) { userId } }';
const LISTED = [NAMED, FOLLOW, UPLOAD, SIGN_OUT];
const OTHER = 'query Other { viewer { user { id } } }';

/** What a request says of its document. */
interface Said {
  readonly query?: string;
  readonly documentId?: string;
  readonly extensions?: Record<string, unknown>;
  readonly variables?: Record<string, unknown>;
  readonly token?: string;
}
interface Answered {
  readonly data?: unknown;
  readonly errors?: readonly { message: string; extensions: { code: string } }[];
}
type Send = (app: App, user: Client, said: Said) => Promise<Answered>;

const apollo = (sha256Hash: string): Said => ({
  extensions: { persistedQuery: { version: 1, sha256Hash } },
});

/** Every way in, each answering the same. */
const WAYS_IN: Record<string, Send> = {
  'POST, the short way': async (app, user, body) =>
    JSON.parse((await sendBy('short', app.url, { headers: user.headers(), body })).body),
  'POST, the long way': async (app, user, body) =>
    JSON.parse((await sendBy('long', app.url, { headers: user.headers(), body })).body),
  GET: async (app, user, said) => {
    const answer = await fetch(addressOf(app, said), {
      headers: { ...user.headers(), accept: 'application/json', 'apollo-require-preflight': '1' },
    });
    return answer.json() as Promise<Answered>;
  },
  multipart: async (app, user, said) => {
    const request = new MultipartRequest(`${app.url}/graphql`, user.headers());
    await request.head(said, {});
    return JSON.parse((await request.end()).body);
  },
  'an event stream': async (app, user, body) => {
    const headers = { ...user.headers(), accept: 'text/event-stream' };
    return answerIn((await sendBy('short', app.url, { headers, body })).body);
  },
  WebSocket: async (app, user, said) => {
    const client = createClient({
      url: `${app.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: user.headers(),
    });
    try {
      return await new Promise<Answered>((resolve, reject) => {
        // The protocol demands a text; an empty one is none.
        client.subscribe(
          { query: '', ...said },
          {
            next: (answer) => resolve(answer as Answered),
            error: (errors) => (Array.isArray(errors) ? resolve({ errors }) : reject(errors as Error)),
            complete: () => undefined,
          },
        );
      });
    } finally {
      await client.dispose();
    }
  },
};

const addressOf = (app: App, said: Said): string =>
  `${app.url}/graphql?${new URLSearchParams(
    Object.entries(said).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  ).toString()}`;

const answerIn = (stream: string): Answered => JSON.parse(/^data: (\{.*)$/m.exec(stream)?.[1] ?? stream);

const codesOf = ({ errors }: Answered): string[] => (errors ?? []).map(({ extensions }) => extensions.code);

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-documents-'));
  file = join(folder, 'list.json');
  await writeFile(file, JSON.stringify(Object.fromEntries(LISTED.map((text) => [hashOf(text), text]))));
});
afterAll(() => rm(folder, { recursive: true }));

const names = Object.keys(WAYS_IN);
const send = (way: string, ...args: Parameters<Send>): Promise<Answered> => WAYS_IN[way]!(...args);

describe('With PERSISTED_ONLY', () => {
  let place: Place;
  let app: App;
  let user: Client;
  let roomId: string;

  beforeAll(async () => {
    place = await makePlace('embedded');
    const open = await startOn(place);
    const { token } = (user = await signUp(open.url));
    roomId = await user.createRoom();
    await open[Symbol.asyncDispose]();
    app = await startOn(place, { PERSISTED_ONLY: 'true', PERSISTED_DOCUMENTS: file });
    user = new Client(app.url, token, user.userId, user.refreshToken, user.handle);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  describe.each(names)('%s', (way) => {
    test('runs a document of the list, named by its hash in each way, or sent as it is there', async () => {
      const hash = hashOf(NAMED);
      const named = { data: { viewer: { user: { handle: user.handle } } } };
      for (const said of [
        { documentId: hash },
        { documentId: `sha256:${hash}` },
        { documentId: hash.toUpperCase() },
        apollo(hash),
        apollo(`sha256:${hash}`),
        { query: NAMED },
        { query: NAMED, ...apollo(hash) },
        { query: NAMED, documentId: hash },
      ]) {
        expect(await send(way, app, user, said), JSON.stringify(said)).toEqual(named);
      }
    });

    test('refuses every other document, with its hash and without, again and again', async () => {
      const hash = hashOf(OTHER);
      for (const said of [
        { query: OTHER },
        { query: `${NAMED} ` },
        { query: OTHER, documentId: hash },
        { query: OTHER, ...apollo(hash) },
        { query: '{ __typename }' },
        { query: '{ nothing }' },
        { query: '{' },
        { query: OTHER, documentId: hash },
      ]) {
        expect(codesOf(await send(way, app, user, said)), JSON.stringify(said)).toEqual([
          'PERSISTED_QUERY_ONLY',
        ]);
      }
      for (const said of [{ documentId: hash }, apollo(hash), { documentId: 'constructor' }]) {
        expect(codesOf(await send(way, app, user, said))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
      }
    });

    test('refuses a text under the hash of another that is on the list', async () => {
      for (const said of [
        { query: OTHER, documentId: hashOf(NAMED) },
        { query: OTHER, ...apollo(hashOf(NAMED)) },
      ]) {
        expect(codesOf(await send(way, app, user, said))).toEqual(['BAD_REQUEST']);
      }
      const named = await send(way, app, user, { documentId: hashOf(NAMED) });
      expect(named.data).toEqual({ viewer: { user: { handle: user.handle } } });
    });
  });

  test('a subscription of the list begins by its hash, on a socket and as an event stream', async () => {
    const variables = { id: roomId };
    const answers = [
      await send('WebSocket', app, user, { documentId: hashOf(FOLLOW), variables }),
      await send('WebSocket', app, user, { ...apollo(hashOf(FOLLOW)), variables }),
    ];
    const body = { documentId: hashOf(FOLLOW), variables };
    const accept = { accept: 'text/event-stream' };
    for (const stream of [
      await EventStream.open(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...accept, ...user.headers() },
        body: JSON.stringify(body),
      }),
      // As a browser's EventSource: no header of its own.
      await EventStream.open(addressOf(app, { ...body, token: user.token! }), { headers: accept }),
    ]) {
      const [first] = await stream.next(1);
      answers.push(first?.data as Answered);
      stream.close();
    }
    expect(answers).toEqual(Array(4).fill({ data: { roomEvents: { __typename: 'Checkpoint' } } }));
  });

  test('a file comes in by the hash of its mutation', async () => {
    const request = new MultipartRequest(`${app.url}/graphql`, user.headers());
    const variables = { input: { roomId, file: null } };
    await request.head({ documentId: hashOf(UPLOAD), variables }, { 0: ['variables.input.file'] });
    await request.file('0', 'soup.txt', 'Leek, potato, salt.');
    const { body } = await request.end();
    expect(JSON.parse(body)).toEqual({ data: { uploadFile: { file: { name: 'soup.txt' } } } });
  });

  test('a mutation by GET is refused also by its hash', async () => {
    const answer = await fetch(addressOf(app, { documentId: hashOf(SIGN_OUT) }), {
      headers: { ...user.headers(), 'apollo-require-preflight': '1' },
    });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('POST');
  });

  test('GraphiQL stays a page, whose look at the schema is refused', async () => {
    const page = await fetch(`${app.url}/graphql`, { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<html');
    expect(await user.refusal(getIntrospectionQuery())).toBe('PERSISTED_QUERY_ONLY');
  });
});

describe('Without PERSISTED_ONLY', () => {
  let app: App & { readonly place: Place };
  let user: Client;

  beforeAll(async () => {
    app = await startParley('embedded', { PERSISTED_DOCUMENTS: file });
    user = await signUp(app.url);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  test.each(names)('%s runs any document, and the list is known by its hashes', async (way) => {
    const answer = await send(way, app, user, { query: OTHER });
    expect(answer).toEqual({ data: { viewer: { user: { id: user.userId } } } });
    expect(await send(way, app, user, { documentId: hashOf(NAMED) })).toEqual({
      data: { viewer: { user: { handle: user.handle } } },
    });
  });

  test.each(names)(
    '%s: a hash is asked for until its text came, which every way in then knows',
    async (way) => {
      const query = `query Q${word()} { viewer { user { handle } } }`;
      const said = apollo(hashOf(query));
      const refused = await send(way, app, user, said);
      expect(refused.errors).toMatchObject([
        { message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } },
      ]);
      const named = { data: { viewer: { user: { handle: user.handle } } } };
      expect(await send(way, app, user, { query, ...said })).toEqual(named);
      for (const other of names) expect(await send(other, app, user, said), other).toEqual(named);
    },
  );

  test.each(names)('%s: a hash that is not that of its text is refused, and not kept', async (way) => {
    const hash = hashOf(word());
    expect(codesOf(await send(way, app, user, { query: OTHER, ...apollo(hash) }))).toEqual(['BAD_REQUEST']);
    expect(codesOf(await send(way, app, user, apollo(hash)))).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    for (const persistedQuery of [
      { version: 2, sha256Hash: hash },
      { version: 1 },
      'x',
      { sha256Hash: hash },
    ]) {
      const said = { query: OTHER, extensions: { persistedQuery } };
      expect(codesOf(await send(way, app, user, said))).toEqual(['BAD_REQUEST']);
    }
  });

  test('both ways in of a POST answer the same bytes and statuses', async () => {
    for (const accept of ['application/json', 'application/graphql-response+json']) {
      for (const [said, status] of [
        [{ documentId: hashOf(NAMED) }, 200],
        [apollo(hashOf('nothing')), accept === 'application/json' ? 200 : 404],
        [{ query: OTHER, ...apollo(hashOf('nothing')) }, 400],
        [{ documentId: 1 }, 400],
        [{ documentId: hashOf(NAMED), query: 1 }, 400],
      ] as const) {
        const headers = { ...user.headers(), accept };
        const short = await sendBy('short', app.url, { headers, body: said });
        const long = await sendBy('long', app.url, { headers, body: said });
        expect(short.status, JSON.stringify(said)).toBe(status);
        expect([short.status, short.body]).toEqual([long.status, long.body]);
      }
    }
  });

  test('what is kept is bounded: the last documents stay, the first are asked for again', async () => {
    const long = (n: number): string => `#${String(n)}${'x'.repeat(limits.bodyBytes - 400)}\n${OTHER}`;
    const texts = Array.from({ length: 1 + limits.rememberedDocuments / limits.bodyBytes }, (_, n) =>
      long(n),
    );
    for (const query of texts) {
      const { errors } = await send('POST, the short way', app, user, { query, ...apollo(hashOf(query)) });
      expect(errors).toBeUndefined();
    }
    const known = await Promise.all(
      texts.map((text) => send('POST, the short way', app, user, apollo(hashOf(text)))),
    );
    expect(known.map((answer) => codesOf(answer)[0]).slice(0, 2)).toEqual([
      'PERSISTED_QUERY_NOT_FOUND',
      undefined,
    ]);
  });
});

describe('The list', () => {
  const read = (env: Record<string, string>) => readPersistedDocuments(readConfig(env).persistedDocuments);
  const written = async (text: string): Promise<Record<string, string>> => {
    const path = join(folder, `${word()}.json`);
    await writeFile(path, text);
    return { PERSISTED_DOCUMENTS: path };
  };

  test('is what GraphQL Code Generator writes', async () => {
    const path = new URL('generated/persisted-documents.json', import.meta.url).pathname;
    const list = await read({ PERSISTED_DOCUMENTS: path });
    const made = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
    expect([...list.values()]).toEqual(Object.values(made));
    for (const [hash, text] of list) expect(hash).toBe(hashOf(text));
  });

  test('is what relay-compiler writes with SHA256', async () => {
    expect(await read(await written(JSON.stringify({ [hashOf(NAMED)]: NAMED })))).toEqual(
      new Map([[hashOf(NAMED), NAMED]]),
    );
  });

  test('may be missing where nothing says that it is needed', async () => {
    expect(await read({})).toEqual(new Map());
  });

  test('that is missing keeps a server from starting that runs nothing else', async () => {
    await expect(read({ PERSISTED_ONLY: 'true' })).rejects.toThrow(
      /^PERSISTED_ONLY: cannot read \/.*\/schema\/persisted-documents\.json \(ENOENT\); it takes a JSON object of documents under their SHA-256/,
    );
    const nowhere = join(folder, 'nowhere.json');
    for (const only of ['true', 'false']) {
      await expect(read({ PERSISTED_ONLY: only, PERSISTED_DOCUMENTS: nowhere })).rejects.toThrow(
        `PERSISTED_DOCUMENTS: cannot read ${nowhere} (ENOENT)`,
      );
    }
    await expect(
      startParley('embedded', { PERSISTED_ONLY: 'true', PERSISTED_DOCUMENTS: nowhere }),
    ).rejects.toThrow(ConfigError);
  });

  test.each(['', '[]', '{', '{"a":1}', 'null'])('is refused when it is %j', async (text) => {
    await expect(read(await written(text))).rejects.toThrow('is something else; it takes a JSON object');
  });

  test('is refused with hashes of another kind', async () => {
    const md5 = createHash('md5').update(NAMED).digest('hex');
    await expect(read(await written(JSON.stringify({ [md5]: NAMED })))).rejects.toThrow(
      `has a document under "${md5}", which is not its SHA-256 in hex`,
    );
  });
});

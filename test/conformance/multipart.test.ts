import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import type { Answer } from '../support/multipart-request.js';
import {
  kept,
  keptSoon,
  manyFiles,
  multipart,
  oneFile,
  picture,
  PNG,
  UPLOAD_FILE,
  type Kept,
} from '../support/uploads.js';

/*
 * The GraphQL multipart request spec, and what the tests of graphql-upload look at, in our own cases against the whole server.
 * https://github.com/jaydenseric/graphql-multipart-request-spec, https://github.com/jaydenseric/graphql-upload (MIT)
 */

const MAX = 4096;

describe('a GraphQL multipart request', () => {
  let app: App & { place: Place };
  let ada: Client;
  let roomId: string;
  let before: Kept;

  beforeAll(async () => {
    app = await startParley('embedded', { UPLOAD_MAX_BYTES: String(MAX) });
    ada = await signUp(app.url);
  });
  beforeEach(async () => {
    roomId = await ada.createRoom();
    before = await kept(app.place, ada, roomId);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const keptMore = (rows: number, stored = rows): Promise<void> =>
    keptSoon(app.place, ada, roomId, { ...before, stored: before.stored + stored, rows: before.rows + rows });
  const bodyOf = ({ body }: Answer): any => JSON.parse(body);
  const codeOf = (answer: Answer): string | undefined => bodyOf(answer).errors?.[0].extensions.code;
  const operations = (): object => oneFile(roomId)[0];
  const outcomesOf = (answer: Answer): string[] =>
    bodyOf(answer).data.uploadFiles.outcomes.map((one: any) => one.code ?? one.file.name);
  const png = (): Buffer => picture(200);

  /** Fields as they are written, then a file of one part. Undefined: no such field. */
  async function sendFields(
    fields: readonly (readonly [string, string])[],
    bytes: Buffer = png(),
  ): Promise<Answer> {
    const request = multipart(ada);
    for (const [name, value] of fields) await request.field(name, value);
    await request.file('file', 'a.png', bytes);
    return request.end();
  }
  const refused = (answer: Answer, status = 400): void => {
    expect([answer.status, codeOf(answer)]).toEqual([status, 'BAD_REQUEST']);
  };

  test('carries no files where its map names none', async () => {
    const request = await multipart(ada).head({ query: '{ __typename }' }, {});
    expect(bodyOf(await request.end())).toEqual({ data: { __typename: 'Query' } });
  });

  test.each(['a.png', 'ä é 😀.png', 'ÿ.png'])('carries a file named %s', async (name) => {
    const request = await multipart(ada).head(...oneFile(roomId));
    const bytes = png();
    await request.file('file', name, bytes, 'image/png');
    expect(bodyOf(await request.end()).data.uploadFile.file).toMatchObject({
      name,
      mimeType: 'image/png',
      size: bytes.length,
    });
    await keptMore(1);
  });

  test('puts one file at several places', async () => {
    const [many] = manyFiles(roomId, 2);
    const request = await multipart(ada).head(many, {
      a: ['variables.input.files.0', 'variables.input.files.1'],
    });
    await request.file('a', 'a.png', png());
    expect(outcomesOf(await request.end())).toEqual(['a.png', 'a.png']);
    await keptMore(2, 1);
  });

  test('may have files that the operation does not read', async () => {
    const request = await multipart(ada).head(
      { query: UPLOAD_FILE, variables: { input: { roomId, file: null }, more: null } },
      { file: ['variables.input.file'], more: ['variables.more'] },
    );
    await request.file('file', 'a.png', png());
    await request.file('more', 'b.png', png());
    expect(bodyOf(await request.end()).data.uploadFile.file.name).toBe('a.png');
    await keptMore(1);
  });

  test('may have files, before and between, that its map does not name', async () => {
    const request = await multipart(ada).head(...manyFiles(roomId, 2));
    await request.file('stranger', 'x.png', png());
    await request.file('0', 'a.png', png());
    await request.file('other', 'y.png', png());
    await request.file('1', 'b.png', png());
    expect(outcomesOf(await request.end())).toEqual(['a.png', 'b.png']);
    await keptMore(2);
  });

  test('fails for a file that its map names and that is missing, and for no other', async () => {
    const request = await multipart(ada).head(...manyFiles(roomId, 2));
    await request.file('1', 'b.png', png());
    expect(outcomesOf(await request.end())).toEqual(['UPLOAD_INCOMPLETE', 'b.png']);
    await keptMore(1);
  });

  test('fails for a file that is too large, and for no other', async () => {
    const request = await multipart(ada).head(...manyFiles(roomId, 2));
    await request.file('0', 'a.png', picture(MAX + 1));
    await request.file('1', 'b.png', picture(MAX));
    expect(outcomesOf(await request.end())).toEqual(['FILE_TOO_LARGE', 'b.png']);
    await keptMore(1);
  });

  test('is 413 with more files than a request may have, by its map alone', async () => {
    const request = await multipart(ada).head(...manyFiles(roomId, 51));
    refused(await request.end(), 413);
    await keptMore(0);
  });

  test.each(['operations', 'map'])('is 413 with a field %s that is too large', async (name) => {
    const large = JSON.stringify({ filling: 'x'.repeat(1024 * 1024) });
    const fields = name === 'map' ? [['operations', JSON.stringify(operations())] as const] : [];
    refused(await sendFields([...fields, [name, large]]), 413);
    await keptMore(0);
  });

  test.each([
    ['before the bytes of its file', 0],
    ['in the middle of them', 100],
  ])('leaves nothing when it is aborted %s', async (_when, length) => {
    const request = await multipart(ada).head(...oneFile(roomId));
    request.answer.catch(() => undefined);
    await request.beginFile('file', 'a.png');
    if (length > 0) await request.raw(png().subarray(0, length));
    await request.abort();
    await keptMore(0);
  });

  test('ends where its body ends too soon', async () => {
    const request = await multipart(ada).head(...oneFile(roomId));
    await request.beginFile('file', 'a.png');
    await request.raw(PNG);
    expect(codeOf(await request.cutOff())).toBe('UPLOAD_INCOMPLETE');
    const early = await multipart(ada).field('operations', JSON.stringify(operations()));
    refused(await early.cutOff());
    await keptMore(0);
  });

  const MAP = '{"file":["variables.input.file"]}';

  test.each<[what: string, fields: (operations: string) => [string, string][]]>([
    [
      'map before operations',
      (ops) => [
        ['map', MAP],
        ['operations', ops],
      ],
    ],
    ['a file before map', (ops) => [['operations', ops]]],
    ['a file before both', () => []],
  ])('is refused with %s', async (_what, fields) => {
    const request = multipart(ada);
    for (const [name, value] of fields(JSON.stringify(operations()))) await request.field(name, value);
    await request.file('file', 'a.png', png());
    await request.field('map', MAP);
    refused(await request.end());
    await keptMore(0);
  });

  test.each<[what: string, fields: readonly string[]]>([
    ['map', ['operations']],
    ['operations', ['map']],
    ['both', []],
  ])('is refused without %s', async (_what, names) => {
    const request = multipart(ada);
    for (const name of names) await request.field(name, name === 'map' ? MAP : JSON.stringify(operations()));
    refused(await request.end());
  });

  test.each([
    ['no JSON', '{ x }'],
    ['nothing', ''],
    ['half of it', '{"query":'],
    ['null', 'null'],
    ['a boolean', 'true'],
    ['a number', '7'],
    ['a text', '""'],
    ['a batch', JSON.stringify([{ query: UPLOAD_FILE, variables: { input: { file: null } } }])],
    ['a batch of batches', JSON.stringify([[{ query: UPLOAD_FILE, variables: { input: { file: null } } }]])],
    ['an empty batch', '[]'],
    ['variables that are a text', JSON.stringify({ query: UPLOAD_FILE, variables: '' })],
    ['no variables', JSON.stringify({ query: UPLOAD_FILE })],
    ['deeply nested', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ])('is refused with operations that are %s, before a small file and a large one', async (_what, text) => {
    const map = text.startsWith('[') ? '{"file":["0.variables.input.file"]}' : MAP;
    for (const bytes of [png(), randomBytes(70_000)])
      refused(
        await sendFields(
          [
            ['operations', text],
            ['map', map],
          ],
          bytes,
        ),
      );
    await keptMore(0);
  });

  test.each([
    ['no JSON', '{ x }'],
    ['null', 'null'],
    ['a boolean', 'true'],
    ['a text', '""'],
    ['a list', '[["variables.input.file"]]'],
    ['null for a part', '{"file":null}'],
    ['a text for a part', '{"file":"variables.input.file"}'],
    ['an object for a part', '{"file":{"0":"variables.input.file"}}'],
    ['no place for a part', '{"file":[]}'],
    ['null for a place', '{"file":[null]}'],
    ['an object for a place', '{"file":[{"toString":"variables.input.file"}]}'],
    ['a place that is not there', '{"file":["variables.input.nothing"]}'],
    ['a place below a null', '{"file":["variables.input.file.x"]}'],
    ['a place that holds something', '{"file":["variables.input.roomId"]}'],
    ['a place outside the variables', '{"file":["query"]}'],
    ['places that are none', '{"file":["",".",".."]}'],
    ['one place twice', '{"file":["variables.input.file","variables.input.file"]}'],
    ['one place for two parts', '{"file":["variables.input.file"],"b":["variables.input.file"]}'],
    ['a place in a prototype', '{"file":["variables.__proto__.polluted"]}'],
    ['a place in a constructor', '{"file":["variables.constructor.prototype.polluted"]}'],
    ['a place in what is inherited', '{"file":["variables.input.toString.polluted"]}'],
    ['a part of the prototype', '{"__proto__":["variables.input.file"],"x":["variables.__proto__.y"]}'],
  ])('is refused with a map of %s', async (_what, map) => {
    refused(
      await sendFields([
        ['operations', JSON.stringify(operations())],
        ['map', map],
      ]),
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    await keptMore(0);
  });

  test('is wrong input with a file where none belongs, and without one where one does', async () => {
    const misplaced = await multipart(ada).head(
      { query: UPLOAD_FILE, variables: { input: { roomId: null, file: null } } },
      { file: ['variables.input.roomId'] },
    );
    await misplaced.file('file', 'x.png', PNG);
    expect(codeOf(await misplaced.end())).toBe('BAD_USER_INPUT');
    for (const file of ['file', 7, {}, null])
      expect(await ada.refusal(UPLOAD_FILE, { input: { roomId, file } })).toBe('BAD_USER_INPUT');
    const none = await multipart(ada).head(...manyFiles(roomId, 0));
    expect(codeOf(await none.end())).toBe('BAD_USER_INPUT');
    await keptMore(0);
  });

  test.each([
    ['no parts at all', 'nothing'],
    ['a part whose header is none', '--parley-test-boundary\r\nContent Disposition\0\r\n\r\nx\r\n'],
  ])('is refused with %s', async (_what, bytes) => {
    refused(await (await multipart(ada).raw(bytes)).end());
  });

  test('is refused without a boundary', async () => {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data', 'apollo-require-preflight': '1', ...ada.headers() },
      body: 'x',
    });
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { errors: [{ extensions: { code: 'BAD_REQUEST' } }] },
    ]);
  });
});

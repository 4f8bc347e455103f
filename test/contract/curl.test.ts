import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually, within } from '../support/deadline.js';
import { findBinary } from '../support/services/binaries.js';

const UPLOAD_FILE = `mutation ($input: UploadFileInput!) {
  uploadFile(input: $input) { file { name mimeType size sha256 url } } }`;

const UPLOAD_FILES = `mutation ($input: UploadFilesInput!) { uploadFiles(input: $input) { outcomes {
  __typename ... on UploadedFile { file { name } } ... on RejectedFile { name code } } } }`;

/** The GraphQL multipart request spec and event streams, by a client that knows nothing of GraphQL. */
describe.skipIf(findBinary('curl') === undefined)('curl', () => {
  let app: App;
  let ada: Client;
  let roomId: string;
  let folder: string;

  beforeAll(async () => {
    app = await startParley();
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
    folder = await mkdtemp(join(tmpdir(), 'parley-curl-'));
    await writeFile(join(folder, 'a.txt'), 'Alpha file content.');
    await writeFile(join(folder, 'b.txt'), 'Bravo file content.');
    await writeFile(join(folder, 'program.exe'), Uint8Array.of(0x4d, 0x5a, 0x90, 0, 3));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    await app[Symbol.asyncDispose]();
  });

  const curl = (...args: string[]): ChildProcess =>
    spawn('curl', ['-sS', `${app.url}/graphql`, '-H', `authorization: Bearer ${ada.token!}`, ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  const answer = async (...args: string[]): Promise<any> =>
    JSON.parse(await within(10_000, 'an answer', text(curl(...args).stdout!)));

  const operations = (query: string, input: object): string =>
    `operations=${JSON.stringify({ query, variables: { input: { roomId, ...input } } })}`;

  const PREFLIGHTED = ['-H', 'apollo-require-preflight: true'];

  test('uploads a file', async () => {
    const { data, errors } = await answer(
      ...PREFLIGHTED,
      ...['-F', operations(UPLOAD_FILE, { file: null })],
      ...['-F', 'map={ "0": ["variables.input.file"] }', '-F', '0=@a.txt'],
    );
    expect(errors).toBeUndefined();
    const { file } = data.uploadFile;
    expect(file).toMatchObject({
      name: 'a.txt',
      mimeType: 'text/plain',
      size: 19,
      sha256: createHash('sha256').update('Alpha file content.').digest('hex'),
    });
    expect(await (await fetch(file.url)).text()).toBe('Alpha file content.');
  });

  test('uploads a list of files, and is told which were refused', async () => {
    const map = {
      0: ['variables.input.files.0'],
      1: ['variables.input.files.1'],
      2: ['variables.input.files.2'],
    };
    const { data } = await answer(
      ...PREFLIGHTED,
      ...['-F', operations(UPLOAD_FILES, { files: [null, null, null] }), '-F', `map=${JSON.stringify(map)}`],
      ...['-F', '0=@b.txt', '-F', '1=@program.exe', '-F', '2=@a.txt'],
    );
    expect(data.uploadFiles.outcomes).toMatchObject([
      { __typename: 'UploadedFile', file: { name: 'b.txt' } },
      { __typename: 'RejectedFile', name: 'program.exe', code: 'FILE_TYPE_NOT_ALLOWED' },
      { __typename: 'UploadedFile', file: { name: 'a.txt' } },
    ]);
  });

  test.each([
    ['a GET', []],
    ['a POST without a type', ['-H', 'content-type:', '-d', '{}']],
    ['a POST of text', ['-H', 'content-type: text/plain', '-d', '{}']],
    ['a POST of a form', ['-d', 'query={__typename}']],
  ])('answers %s without the header 403, and says what to send', async (_what, sent) => {
    const answer = curl('-w', '\n%{http_code}', ...sent);
    const [body = '', status] = (await text(answer.stdout!)).split('\n');
    expect(status).toBe('403');
    const [error] = (JSON.parse(body) as { errors: { message: string; extensions: object }[] }).errors;
    expect(error).toMatchObject({ extensions: { code: 'BAD_REQUEST' } });
    for (const header of [
      'x-graphql-yoga-csrf',
      'apollo-require-preflight',
      'Content-Type: application/json',
    ])
      expect(error?.message).toContain(header);
  });

  test('takes other types than JSON for nothing with the header either', async () => {
    const sent = ['-H', 'content-type: text/plain', '-d', '{"query":"{ __typename }"}'];
    expect(await text(curl('-o', '/dev/null', '-w', '%{http_code}', ...PREFLIGHTED, ...sent).stdout!)).toBe(
      '415',
    );
  });

  test('uploads nothing without the header that keeps other sites out', async () => {
    const upload = [
      '-F',
      operations(UPLOAD_FILE, { file: null }),
      '-F',
      'map={ "0": ["variables.input.file"] }',
    ];
    const status = await text(
      curl('-o', '/dev/null', '-w', '%{http_code}', ...upload, '-F', '0=@a.txt').stdout!,
    );
    expect(status).toBe('403');
  });

  test('follows a room by an event stream', async () => {
    const query =
      'subscription ($roomId: ID!) { roomEvents(roomId: $roomId, last: 1) { __typename cursor } }';
    const child = curl(
      ...['-N', '-H', 'accept: text/event-stream', '-H', 'content-type: application/json'],
      ...['-d', JSON.stringify({ query, variables: { roomId } })],
    );
    let seen = '';
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
    const events = (): any[] =>
      seen
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice('data: '.length)).data.roomEvents);
    try {
      await eventually(10_000, 'the checkpoint', () =>
        events().some((one) => one.__typename === 'Checkpoint'),
      );
      const { eventCursor } = await ada.post(roomId, 'hello, curl');
      const event = await eventually(10_000, 'the message', () =>
        events().find((one) => one.cursor === eventCursor && one.__typename === 'MessageAdded'),
      );
      expect(seen).toContain(`id: ${event.cursor}\nevent: next\ndata: {`);
    } finally {
      child.kill();
      await once(child, 'close');
    }
  });
});

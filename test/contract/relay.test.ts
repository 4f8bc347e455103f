import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { printSchema } from 'graphql';
import { Session } from 'parley/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { schema } from '../../src/schema.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { network } from './recipes/relay.js';

// As in a browser.
vi.stubGlobal('WebSocket', WebSocket);

const require = createRequire(import.meta.url);

/** Beside those that the README shows. */
const OTHERS = `
export const page = graphql\`
  query RoomQuery($roomId: ID!) {
    viewer { id user { ...Room_user } }
    room(id: $roomId) { ...Room_room }
  }
\`;

export const user = graphql\`
  fragment Room_user on User { id handle name }
\`;

export const upload = graphql\`
  mutation RoomUploadMutation($input: UploadFileInput!, $connections: [ID!]!) {
    uploadFile(input: $input) {
      file @prependNode(connections: $connections, edgeTypeName: "FileEdge") { id name mimeType size url }
    }
  }
\`;

export const remove = graphql\`
  mutation RoomDeleteFileMutation($input: DeleteFileInput!) {
    deleteFile(input: $input) { deletedFileId @deleteRecord }
  }
\`;
`;

/** The components of the README. */
const [, SHOWN = ''] =
  /<!-- relay -->\n+```\w+\n(.*?)```/s.exec(
    await readFile(new URL('../../README.md', import.meta.url), 'utf8'),
  ) ?? [];

/** Relay's own compiler over the printed schema, and what it makes of the documents against the server. */
describe("Relay's compiler", () => {
  let folder: string;
  let app: App;
  let ada: Client;

  const artifact = (name: string): Promise<string> =>
    readFile(join(folder, '__generated__', `${name}.graphql.ts`), 'utf8');

  /** What Relay would send. */
  const sent = async (name: string): Promise<string> =>
    JSON.parse(/"text": (".*")/.exec(await artifact(name))![1]!) as string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-relay-'));
    await mkdir(join(folder, 'src'));
    await mkdir(join(folder, '__generated__'));
    await writeFile(join(folder, 'schema.graphql'), printSchema(schema));
    await writeFile(join(folder, 'src', 'Room.ts'), SHOWN + OTHERS);
    const config = {
      src: './src',
      schema: './schema.graphql',
      artifactDirectory: './__generated__',
      language: 'typescript',
      eagerEsModules: true,
      customScalarTypes: { DateTime: 'string', SafeInt: 'number', Upload: 'File', URL: 'string' },
    };
    await writeFile(join(folder, 'relay.config.json'), JSON.stringify(config));
    await promisify(execFile)(
      process.execPath,
      [require.resolve('relay-compiler/cli.js'), '--noWatchman', 'relay.config.json'],
      { cwd: folder },
    );
    app = await startParley();
    ada = await signUp(app.url);
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await app[Symbol.asyncDispose]();
  });

  test('takes a room as refetchable, and its messages as a connection in both directions', async () => {
    const fragment = await artifact('Room_room');
    expect(fragment).toContain('"direction": "bidirectional"');
    expect(fragment).toMatch(/"identifierInfo": {\s+"identifierField": "id"/);
    expect(await sent('RoomMessagesQuery')).toContain('node(id: $id)');
  });

  test('takes uploads, live rows and deletions', async () => {
    expect(await artifact('RoomUploadMutation')).toMatch(/file: File;/);
    expect(await artifact('RoomFollowSubscription')).toContain('"handle": "appendNode"');
    expect(await artifact('RoomDeleteFileMutation')).toContain('"handle": "deleteRecord"');
  });

  test('makes pages that the server answers, back and forth', async () => {
    const roomId = await ada.createRoom();
    for (const body of ['one', 'two', 'three', 'four', 'five']) await ada.post(roomId, body);
    const { viewer, room } = await ada.run(await sent('RoomQuery'), { roomId });
    expect(viewer.user.handle).toBe(ada.handle);
    expect(bodies(room)).toEqual(['four', 'five']);

    const query = await sent('RoomMessagesQuery');
    const { startCursor, hasPreviousPage } = room.messages.pageInfo;
    expect(hasPreviousPage).toBe(true);
    const { node: older } = await ada.run(query, { id: roomId, last: 2, before: startCursor });
    expect(bodies(older)).toEqual(['two', 'three']);
    const { endCursor, hasNextPage } = older.messages.pageInfo;
    expect(hasNextPage).toBe(true);
    const { node: newer } = await ada.run(query, { id: roomId, last: null, first: 2, after: endCursor });
    expect(bodies(newer)).toEqual(['four', 'five']);
    expect(newer.messages.pageInfo.hasNextPage).toBe(false);
  });

  const networkOfAda = () => {
    const session = new Session(`${app.url}/graphql`);
    session.set({
      accessToken: ada.token!,
      accessTokenExpiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      refreshToken: ada.refreshToken,
    });
    return network(session);
  };

  test('sends the files of a mutation by the network of the recipe', async () => {
    const { fetch } = networkOfAda();
    const roomId = await ada.createRoom();
    const file = new File(['leek'], 'soup.txt');
    const one = { text: await sent('RoomUploadMutation') };
    for (const given of [null, file])
      expect(await fetch(one, { input: { roomId, file: given } }, {}, { 'input.file': file })).toMatchObject({
        data: { uploadFile: { file: { name: 'soup.txt', size: 4, mimeType: 'text/plain' } } },
      });
    const text =
      'mutation ($input: UploadFilesInput!) { uploadFiles(input: $input) { outcomes { ... on UploadedFile { file { name } } } } }';
    const files = { 'input.files.0': file, 'input.files.1': new File(['salt'], 'salt.txt') };
    expect(await fetch({ text }, { input: { roomId, files: [null, null] } }, {}, files)).toEqual({
      data: { uploadFiles: { outcomes: [{ file: { name: 'soup.txt' } }, { file: { name: 'salt.txt' } }] } },
    });
  });

  test('asks and follows by the network of the recipe', async () => {
    const roomId = await ada.createRoom();
    await ada.post(roomId, 'before');
    const { fetch, subscribe } = networkOfAda();
    const { data } = (await fetch({ text: await sent('RoomQuery') }, { roomId })) as Data;
    expect(bodies(data.room)).toEqual(['before']);

    const events: Data[] = [];
    const stop = subscribe(
      { text: await sent('RoomFollowSubscription') },
      { roomId, after: data.room.messages.eventCursor },
      { next: (result) => events.push(result), error: () => undefined, complete: () => undefined },
    );
    const seen = (): string[] => events.map((event) => event['data'].roomEvents.__typename as string);
    await eventually(10_000, 'the checkpoint', () => seen().includes('Checkpoint'));
    await ada.post(roomId, 'live');
    await eventually(10_000, 'the message', () => seen().includes('MessageAdded'));
    expect(events.at(-1)).toMatchObject({ data: { roomEvents: { message: { body: 'live' } } } });
    stop();
  });
});

type Data = Record<string, any>;

const bodies = (room: any): string[] => room.messages.edges.map(({ node }: any) => node.body);

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { printSchema } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { schema } from '../../src/schema.js';
import { startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';

const require = createRequire(import.meta.url);

const COMPONENT = `
import { graphql } from 'react-relay';

export const page = graphql\`
  query RoomQuery($roomId: ID!) {
    viewer { id user { ...Room_user } }
    room(id: $roomId) { ...Room_room }
  }
\`;

export const user = graphql\`
  fragment Room_user on User { id handle name }
\`;

export const room = graphql\`
  fragment Room_room on Room
  @refetchable(queryName: "RoomMessagesQuery")
  @argumentDefinitions(
    last: { type: "Int", defaultValue: 2 }
    before: { type: "String" }
    first: { type: "Int" }
    after: { type: "String" }
  ) {
    name
    messages(last: $last, before: $before, first: $first, after: $after)
      @connection(key: "Room_messages", filters: []) {
      __id
      eventCursor
      totalCount
      edges { node { id body author { ...Room_user } } }
    }
  }
\`;

export const say = graphql\`
  mutation RoomSayMutation($input: PostMessageInput!, $connections: [ID!]!) {
    postMessage(input: $input) {
      message @appendNode(connections: $connections, edgeTypeName: "MessageEdge") { id body }
      eventCursor
    }
  }
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

export const follow = graphql\`
  subscription RoomFollowSubscription($roomId: ID!, $after: String, $connections: [ID!]!) {
    roomEvents(roomId: $roomId, after: $after) {
      __typename
      cursor
      ... on MessageAdded {
        message @appendNode(connections: $connections, edgeTypeName: "MessageEdge") { id body author { ...Room_user } }
      }
      ... on FileDeleted { fileId @deleteRecord }
    }
  }
\`;
`;

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
    await writeFile(join(folder, 'src', 'Room.ts'), COMPONENT);
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
});

const bodies = (room: any): string[] => room.messages.edges.map(({ node }: any) => node.body);

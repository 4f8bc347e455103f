import { randomBytes } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { parseId } from '../../src/graphql/ids.js';
import { STORE_ID_FILE } from '../../src/files/store-id.js';
import type { Place } from './app.js';
import type { Client } from './client.js';
import { eventually } from './deadline.js';
import { MultipartRequest } from './multipart-request.js';
import { inBucket, leaveOpenUpload } from './object-store.js';

/** What is kept of uploads. */
export interface Kept {
  /** Files with bytes in storage, half written ones among them. */
  readonly stored: number;
  /** Files that the room shows. */
  readonly rows: number;
  /** Bytes that are claimed but no file's; 0 where the database cannot be asked from here. */
  readonly leases: number;
}

export async function kept(place: Place, client: Client, roomId: string): Promise<Kept> {
  const { room } = await client.run(`query ($id: ID!) { room(id: $id) { files { totalCount } } }`, {
    id: roomId,
  });
  return {
    stored: (await namesStored(place)).length,
    rows: room.files.totalCount,
    leases: await countLeases(place),
  };
}

/** Names of what lies in storage, by its own word; of what is half written they end with `.part`. */
export async function namesStored({ dataDir, env }: Place): Promise<string[]> {
  if (env['S3_PREFIX'] !== undefined) {
    const { objects, uploads } = await inBucket(env['S3_PREFIX']);
    return [...objects, ...uploads.map((name) => `${name}.part`)];
  }
  const entries = await readdir(join(dataDir, 'files'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && entry.name !== STORE_ID_FILE).map(({ name }) => name);
}

/** Leaves under `key` what a process leaves that is killed while it writes. */
export async function leaveHalfWritten({ dataDir, env }: Place, key: string): Promise<void> {
  if (env['S3_PREFIX'] !== undefined) {
    await leaveOpenUpload(env['S3_PREFIX'] + key);
    return;
  }
  const folder = join(dataDir, 'files', key.slice(0, 2));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${key}.part`), 'half a file');
}

async function countLeases(place: Place): Promise<number> {
  if (place.env['DATABASE_URL'] === undefined) return 0;
  const [row] = await sql<{ count: number }>(place, 'select count(*)::int as count from upload_leases');
  return row?.count ?? 0;
}

/** Asks the database of a place on Postgres. */
export async function sql<Row extends pg.QueryResultRow>(
  place: Place,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: place.env['DATABASE_URL'] });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** Resolves once what is kept is `expected`: what a failed request leaves goes a moment after its answer. */
export async function keptSoon(place: Place, client: Client, roomId: string, expected: Kept): Promise<void> {
  await eventually(10_000, `what is kept is ${JSON.stringify(expected)}`, async () => {
    const found = JSON.stringify(await kept(place, client, roomId));
    if (found !== JSON.stringify(expected)) throw new Error(`${found} is kept`);
    return true;
  });
}

const UPLOAD_FILES = `mutation ($input: UploadFilesInput!) { uploadFiles(input: $input) { outcomes {
  __typename ... on UploadedFile { file { id name mimeType size sha256 } } ... on RejectedFile { name code message } } } }`;

export const UPLOAD_FILE = `mutation ($input: UploadFileInput!) {
  uploadFile(input: $input) { eventCursor file { id name mimeType size sha256 url } } }`;

/** A multipart request of this user, written by hand. */
export const multipart = (client: Client, headers: Record<string, string> = {}): MultipartRequest =>
  new MultipartRequest(`${client.url}/graphql`, { ...client.headers(), ...headers });

/** `operations` and `map` of an uploadFiles of `count` files, in parts named 0, 1, … */
export const manyFiles = (
  roomId: string,
  count: number,
  more: object = {},
): [operations: object, map: object] => [
  {
    query: UPLOAD_FILES,
    variables: { input: { roomId, files: Array.from({ length: count }, () => null), ...more } },
  },
  Object.fromEntries(Array.from({ length: count }, (_, i) => [String(i), [`variables.input.files.${i}`]])),
];

export const oneFile = (roomId: string, more: object = {}): [operations: object, map: object] => [
  { query: UPLOAD_FILE, variables: { input: { roomId, file: null, ...more } } },
  { file: ['variables.input.file'] },
];

/** A whole file of one pixel. More bytes after it make it no other type. */
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** A picture by its first bytes, of any size. */
export const picture = (size: number): Buffer<ArrayBuffer> =>
  Buffer.concat([PNG, randomBytes(size - PNG.length)]);

const MIB = 1024 * 1024;

/** Uploads `mib` MiB in each of `count` files of one request, made up while they are sent. Throws when one is refused. */
export async function uploadLarge(client: Client, roomId: string, count: number, mib: number): Promise<void> {
  const chunk = randomBytes(MIB);
  const request = await multipart(client).head(...manyFiles(roomId, count));
  for (let i = 0; i < count; i += 1) {
    await request.beginFile(String(i), `${i}.png`);
    await request.raw(PNG);
    for (let sent = 0; sent < mib; sent += 1) await request.raw(chunk);
    await request.raw('\r\n');
  }
  const { body } = await request.end();
  const { data } = JSON.parse(body) as { data: any };
  const outcomes = data?.uploadFiles.outcomes as { __typename: string }[] | undefined;
  if (outcomes?.length !== count || outcomes.some(({ __typename }) => __typename !== 'UploadedFile'))
    throw new Error(`not uploaded: ${body}`);
}

/** Holds a room's row, so that nothing is written in the room until it is let go. */
export async function holdRoom(
  place: Place,
  roomId: string,
): Promise<AsyncDisposable & { letGo(): Promise<void> }> {
  const client = new pg.Client({ connectionString: place.env['DATABASE_URL'] });
  await client.connect();
  await client.query('begin');
  await client.query('select from rooms where id = $1 for update', [parseId(roomId)?.id]);
  let ended: Promise<void> | undefined;
  const letGo = (): Promise<void> => (ended ??= client.end());
  return { letGo, [Symbol.asyncDispose]: letGo };
}

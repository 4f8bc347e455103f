import { randomBytes } from 'node:crypto';
import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { newStorageKey } from '../../src/files/storage/storage.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { Command } from '../support/command.js';
import { bucketEnvironment, stores } from '../support/object-store.js';
import { isMissing, services } from '../support/services.js';
import { leaveHalfWritten, namesStored, picture, sql } from '../support/uploads.js';

let place: Place;
let app: App;
let ada: Client;
let roomId: string;

interface Said {
  readonly code: unknown;
  readonly lines: readonly string[];
  readonly stderr: string;
}

/** The tool beside the server, with its environment and more. */
async function files(args: string, more: Record<string, string> = {}): Promise<Said> {
  const env = { DATA_DIR: place.dataDir, LOG_LEVEL: 'silent', ...place.env, ...more };
  await using command = new Command('files-tool', args.split(' '), { cwd: place.dataDir, env });
  const code = await command.end(60_000);
  const lines = command.stdout.split('\n').filter((line) => line !== '');
  return { code, lines, stderr: command.stderr };
}

/** Contents are looked at in the order of their random keys. */
const sorted = (said: Said): Said => ({ ...said, lines: [...said.lines].sort() });

const well = (...lines: string[]): Said => ({ code: 0, lines, stderr: '' });

interface Uploaded {
  readonly id: string;
  readonly url: string;
  readonly key: string;
}

async function upload(bytes: Buffer<ArrayBuffer>): Promise<Uploaded> {
  const { data } = await ada.upload(roomId, 'a.png', bytes);
  const { id, url, sha256 } = data['uploadFile'].file;
  const [row] = await sql<{ storage_key: string; id: string }>(
    place,
    'select files.id, storage_key from files join blobs on blobs.id = blob_id where files.sha256 = $1',
    [sha256],
  );
  return { id, url, key: row?.storage_key ?? '' };
}

const idOf = async (key: string): Promise<string> =>
  (await sql<{ id: string }>(place, 'select id from files where blob_id = $1', [key]))[0]?.id ?? '';

async function start(store: (typeof stores)[number]): Promise<void> {
  place = await makePlace('postgres', store);
  app = await startOn(place);
  ada = await signUp(app.url);
  roomId = await ada.createRoom();
}

afterEach(async () => {
  await app[Symbol.asyncDispose]();
  await place[Symbol.asyncDispose]();
});

describe.skipIf(isMissing(services.postgres))('Checking files', () => {
  describe.each(stores)('on %s, beside a server that runs', (store) => {
    beforeEach(() => start(store));

    test('finds nothing where all is well, deleted files and uploads under way among it', async () => {
      await upload(picture(100_000));
      const gone = await upload(picture(1000));
      await ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, {
        id: gone.id,
      });
      const key = newStorageKey();
      await leaveHalfWritten(place, key);
      await sql(place, `insert into upload_leases values ($1, now() + interval '1 min')`, [key]);
      expect(await files('check --hashes --mend')).toEqual(
        well('1 files, 1 contents: 0 broken; 0 orphans, 0 deleted'),
      );
      expect(await namesStored(place)).toContain(`${key}.part`);
    });

    test('tells what belongs to nothing, and deletes it when it is asked to, nothing else', async () => {
      const kept = await upload(picture(1000));
      const orphan = await upload(picture(1000));
      await sql(place, 'update rooms set file_count = 1, used_bytes = 1000');
      await sql(place, 'update users set used_bytes = 1000');
      await sql(place, 'delete from room_events where file_id = (select id from files where blob_id = $1)', [
        orphan.key,
      ]);
      await sql(place, 'delete from files where blob_id = $1', [orphan.key]);
      const half = newStorageKey();
      await leaveHalfWritten(place, half);
      const told = [orphan.key, half]
        .sort()
        .map((key) => `orphan  key ${key}: bytes that belong to no file and no upload`);

      expect(await files('check')).toEqual({
        code: 1,
        lines: [...told, '1 files, 1 contents: 0 broken; 2 orphans'],
        stderr: '',
      });
      expect(await files('check --mend')).toEqual(
        well(...told, '1 files, 1 contents: 0 broken; 2 orphans, 2 deleted'),
      );
      expect(await namesStored(place)).toEqual([kept.key]);
      expect(await files('check')).toEqual(well('1 files, 1 contents: 0 broken; 0 orphans'));
    });
  });

  test('tells counts of bytes that are wrong, and mends them when it is asked to', async () => {
    await start('disk');
    await upload(picture(1000));
    await upload(picture(500));
    await sql(place, 'update rooms set used_bytes = 7');
    await sql(place, 'update users set used_bytes = 2000');
    const [row] = await sql<{ user: string; room: string }>(
      place,
      'select uploader_id as user, room_id as room from files',
    );
    const told = [
      `usage   room ${row!.room}: 7 bytes are counted, its files have 1500`,
      `usage   user ${row!.user}: 2000 bytes are counted, its files have 1500`,
    ];
    const summary = '2 files, 2 contents: 0 broken; 0 orphans';
    expect(await files('check')).toEqual({ code: 1, lines: [summary, ...told], stderr: '' });
    expect(await files('check --mend')).toEqual(well(`${summary}, 0 deleted`, ...told));
    expect(await files('check')).toEqual(well(summary));
    const { viewer } = await ada.run('{ viewer { storage { usedBytes } } }');
    expect(viewer.storage.usedBytes).toBe(1500);
  });

  test('tells files whose bytes are missing, cut off, or with --hashes others, and leaves them', async () => {
    await start('disk');
    const [missing, cut, other] = [
      await upload(picture(1000)),
      await upload(picture(1000)),
      await upload(picture(1000)),
    ];
    const pathOf = ({ key }: Uploaded): string => join(place.dataDir, 'files', key.slice(0, 2), key);
    await rm(pathOf(missing));
    await truncate(pathOf(cut), 10);
    await writeFile(pathOf(other), randomBytes(1000));
    const line = async ({ key }: Uploaded, wrong: string): Promise<string> =>
      `broken  file ${await idOf(key)}, key ${key}: ${wrong}`;
    const plain = [
      await line(missing, 'its bytes are missing'),
      await line(cut, 'it has 10 bytes, and had 1000'),
    ];
    expect(sorted(await files('check --mend'))).toEqual(
      sorted({
        code: 1,
        lines: [...plain, '3 files, 3 contents: 2 broken; 0 orphans, 0 deleted'],
        stderr: '',
      }),
    );
    expect(sorted(await files('check --hashes'))).toEqual(
      sorted({
        code: 1,
        lines: [
          ...plain,
          await line(other, 'the bytes are not those that were stored'),
          '3 files, 3 contents: 3 broken; 0 orphans',
        ],
        stderr: '',
      }),
    );
    expect(await readdir(join(place.dataDir, 'files'))).not.toEqual([]);
  });

  test('deletes nothing from a store that holds none of the files, and looks into no other folder', async () => {
    await start('disk');
    const key = newStorageKey();
    await leaveHalfWritten(place, key);
    const orphan = `orphan  key ${key}: bytes that belong to no file and no upload`;
    expect(await files('check --mend')).toEqual({
      code: 1,
      lines: [
        orphan,
        'nothing is deleted: no file of the database has its bytes here',
        '0 files, 0 contents: 0 broken; 1 orphans, 0 deleted',
      ],
      stderr: '',
    });
    expect(await namesStored(place)).toEqual([`${key}.part`]);
    const { code, stderr } = await files('check', { DATA_DIR: join(place.dataDir, 'other') });
    expect(code).toBe(1);
    expect(stderr).toContain('is not the folder of the database');
  });

  test('takes no other command, and says what it takes', async () => {
    await start('disk');
    for (const args of [
      '',
      'mend',
      'copy',
      'copy --from disk',
      'copy --from disk --to disk',
      'check --all',
    ]) {
      expect(await files(args)).toMatchObject({ code: 2, lines: [] });
    }
    const { code, stderr } = await files('copy --from disk --to s3');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'parley: S3_BUCKET: got nothing; copying from or to s3 takes it\n',
    });
  });
});

describe.skipIf(isMissing(services.postgres) || !stores.includes('s3'))('Copying files', () => {
  beforeEach(() => start('disk'));

  const download = async (url: string): Promise<Buffer> =>
    Buffer.from(await (await fetch(url)).arrayBuffer());
  const COUNTS = (copied: number, there: number, deleted: number, broken: number): string =>
    `copied: ${copied}, there already: ${there}, deleted meanwhile: ${deleted}, broken: ${broken}`;

  test('moves a server from a folder to a bucket: most while it runs, the rest while it stands', async () => {
    const bucket = bucketEnvironment();
    const pictures = [picture(1000), picture(6 * 1024 * 1024), picture(500)];
    const first = [await upload(pictures[0]!), await upload(pictures[1]!)];
    expect(await files('copy --from disk --to s3', bucket)).toEqual(well(COUNTS(2, 0, 0, 0)));

    const last = await upload(pictures[2]!);
    await ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, {
      id: first[0]!.id,
    });
    await expect.poll(() => namesStored(place), { timeout: 5000 }).not.toContain(first[0]!.key);
    await app[Symbol.asyncDispose]();
    expect(await files('copy --from disk --to s3', bucket)).toEqual(well(COUNTS(1, 1, 0, 0)));

    app = await startOn(place, bucket);
    await rm(join(place.dataDir, 'files'), { recursive: true });
    for (const [file, bytes] of [
      [first[1]!, pictures[1]!],
      [last, pictures[2]!],
    ] as const) {
      const { pathname, search } = new URL(file.url);
      expect((await download(app.url + pathname + search)).equals(bytes)).toBe(true);
    }
    // What was copied and then deleted there is nobody's here.
    const { lines } = await files('check --hashes --mend', bucket);
    expect(lines).toEqual([
      `orphan  key ${first[0]!.key}: bytes that belong to no file and no upload`,
      '2 files, 2 contents: 0 broken; 1 orphans, 1 deleted',
    ]);
    expect(await files('copy --from s3 --to disk', bucket)).toEqual(well(COUNTS(2, 0, 0, 0)));
    expect((await namesStored({ ...place, env: {} })).sort()).toEqual([first[1]!.key, last.key].sort());
  });

  test('copies no bytes that are not those that were stored, and goes on behind what a broken copy left', async () => {
    const bucket = bucketEnvironment();
    const [good, other, missing] = [
      await upload(picture(1000)),
      await upload(picture(6 * 1024 * 1024)),
      await upload(picture(1000)),
    ];
    const pathOf = ({ key }: Uploaded): string => join(place.dataDir, 'files', key.slice(0, 2), key);
    await writeFile(pathOf(other), randomBytes(6 * 1024 * 1024));
    await rm(pathOf(missing));
    const there = { ...place, env: { ...place.env, ...bucket } };
    await leaveHalfWritten(there, good.key);
    const { code, lines } = await files('copy --from disk --to s3', bucket);
    expect({ code, lines: [...lines].sort() }).toEqual({
      code: 1,
      lines: [
        `broken  file ${await idOf(other.key)}, key ${other.key}: the bytes are not those that were stored`,
        `broken  file ${await idOf(missing.key)}, key ${missing.key}: its bytes are missing`,
        COUNTS(1, 0, 0, 2),
      ].sort(),
    });
    expect(await namesStored(there)).toEqual([good.key]);
  });
});

import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/env.js';
import type { Database } from '../../src/db/database.js';
import { openDatabase } from '../../src/db/open.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, startOn, type Place } from '../support/app.js';
import { signUp } from '../support/client.js';

const SOME_ID = '00000000-0000-4000-8000-000000000000';

describe.each(backends)('The files folder of a server on %s', (backend) => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace(backend);
  });
  afterEach(() => place[Symbol.asyncDispose]());

  /** What is the same code on both, and takes seconds to start embedded. */
  const once = test.skipIf(backend === 'embedded');

  const folder = (): string => join(place.dataDir, 'files');
  const idFile = (): string => join(folder(), 'store-id');
  const idOfFolder = async (): Promise<string> => (await readFile(idFile(), 'utf8')).trim();

  const start = async (): Promise<void> => (await startOn(place))[Symbol.asyncDispose]();
  const refusal = async (): Promise<string> =>
    start().then(
      () => 'none',
      (error: unknown) => `${(error as Error).name}: ${(error as Error).message}`,
    );

  /** Starts it, stores a file, and stops it. */
  async function storeFile(): Promise<void> {
    await using app = await startOn(place);
    const user = await signUp(app.url);
    const { errors } = await user.upload(await user.createRoom(), 'notes.txt', 'some text');
    expect(errors).toEqual([]);
  }

  async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
    const { db, close } = await openDatabase(readConfig(environmentOf(place)), createLogger('silent'));
    try {
      return await work(db);
    } finally {
      await close();
    }
  }
  const idOfDatabase = (): Promise<string | null> =>
    withDatabase(async (db) => (await db.selectFrom('file_store').select('id').executeTakeFirstOrThrow()).id);
  const setIdOfDatabase = (id: string | null): Promise<unknown> =>
    withDatabase((db) => db.updateTable('file_store').set({ id }).execute());

  /** As an installation is that never had ids. */
  async function forgetIds(): Promise<void> {
    await rm(idFile(), { force: true });
    await setIdOfDatabase(null);
  }

  test('gets an id at the first start, which the database has too, and keeps it', async () => {
    await start();
    const id = await idOfFolder();
    expect(await idOfDatabase()).toBe(id);
    await storeFile();
    await start();
    expect(await idOfFolder()).toBe(id);
  });

  test('gets an id when an installation that had none is upgraded', async () => {
    await storeFile();
    await forgetIds();
    await start();
    expect(await idOfDatabase()).toBe(await idOfFolder());
  });

  test('is refused when an installation that had no id is upgraded without its files', async () => {
    await storeFile();
    await forgetIds();
    await rename(folder(), `${folder()}-elsewhere`);
    const said = await refusal();
    expect(said).toMatch(/^StartError: DATA_DIR: .*files holds none of the newest files.*restore it[^\n]*$/);
    // Nothing was decided: with the right folder it starts.
    expect(await idOfDatabase()).toBe(null);
    await rm(folder(), { recursive: true });
    await rename(`${folder()}-elsewhere`, folder());
    await start();
  });

  once.each([
    ['is empty', () => Promise.resolve()],
    ['is of another installation', () => writeFile(idFile(), `${SOME_ID}\n`)],
    ['lost its id', () => writeFile(idFile(), '')],
  ])('is refused when it %s, with what to do, which works', async (_what, make) => {
    await storeFile();
    const id = await idOfFolder();
    await rm(folder(), { recursive: true });
    await mkdir(folder());
    await make();
    const said = await refusal();
    expect(said).toMatch(/^StartError: DATA_DIR: [^\n]+ is not the folder of the database's files[^\n]+$/);
    const [, advised, path] = / write (\S+) into (\S+)$/.exec(said) ?? [];
    expect([advised, path]).toEqual([id, idFile()]);
    await writeFile(path!, advised!);
    await start();
  });

  once(
    'that is empty is refused also while there are no files: others may store theirs elsewhere',
    async () => {
      await start();
      await rm(folder(), { recursive: true });
      expect(await refusal()).toContain('it has no store id');
    },
  );

  once('is accepted with a database of before it had its id, as a restored backup is', async () => {
    await storeFile();
    const id = await idOfFolder();
    await setIdOfDatabase(null);
    await start();
    expect([await idOfDatabase(), await idOfFolder()]).toEqual([id, id]);
  });

  once('goes with its database when both are copied', async () => {
    await storeFile();
    const id = await idOfFolder();
    await cp(folder(), `${folder()}-copy`, { recursive: true });
    await rm(folder(), { recursive: true });
    await rename(`${folder()}-copy`, folder());
    await start();
    expect(await idOfFolder()).toBe(id);
  });

  once('gets its id when a crash left it half made', async () => {
    await mkdir(folder(), { recursive: true });
    await writeFile(idFile(), SOME_ID.slice(0, 7));
    await start();
    expect(await idOfDatabase()).toBe(await idOfFolder());
  });

  once('gets one id when processes start together', async () => {
    const apps = await Promise.all(Array.from({ length: 4 }, () => startOn(place)));
    const id = await idOfFolder();
    expect(await idOfDatabase()).toBe(id);
    for (const app of apps) await app[Symbol.asyncDispose]();
    await start();
    expect(await idOfFolder()).toBe(id);
  });
});

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { transaction, type Database } from '../../src/db/database.js';
import { connectPostgres } from '../../src/db/dialect.js';
import { newId } from '../../src/db/ids.js';
import { migrateToLatest } from '../../src/db/migrator.js';
import { holdLocks } from '../../src/files/resumable/upload-locks.queries.js';
import { UploadLocks, type LockTimes } from '../../src/files/resumable/upload-locks.js';
import {
  commitProgress,
  findUpload,
  insertUpload,
  lastPartOf,
  leaseFor,
  partsOf,
  reservePart,
  type Fenced,
} from '../../src/files/resumable/upload-sessions.queries.js';
import { DiskReceiver } from '../../src/files/storage/disk-receiver.js';
import { DiskStorage } from '../../src/files/storage/disk.js';
import type { Ledger } from '../../src/files/storage/receiver.js';
import { newStorageKey } from '../../src/files/storage/storage.js';
import { createLogger } from '../../src/observability/logger.js';
import { eventually } from '../support/deadline.js';
import { createDatabase, isMissing, services, type TestDatabase } from '../support/services.js';

const logger = createLogger('silent');
/** A process that stands still: it holds on to nothing. */
const STILL: LockTimes = { holdMs: 1000, heartbeatMs: 3_600_000, waitMs: 10_000, retryMs: 10 };
const ALIVE: LockTimes = { holdMs: 2000, heartbeatMs: 20, waitMs: 10_000, retryMs: 10 };

describe.skipIf(isMissing(services.postgres))('locks on uploads', () => {
  let database: TestDatabase;
  let db: Database;
  let root: string;
  let receiver: DiskReceiver;
  const all: UploadLocks[] = [];

  beforeAll(async () => {
    database = await createDatabase();
    db = connectPostgres({ databasePoolSize: 5 }, database.url, logger);
    await migrateToLatest(db);
    root = await mkdtemp(join(tmpdir(), 'parley-locks-'));
    await DiskStorage.open(root);
    receiver = new DiskReceiver(root);
  });
  afterAll(async () => {
    for (const locks of all) await locks.stop();
    await db.destroy();
    await database[Symbol.asyncDispose]();
    await rm(root, { recursive: true });
  });

  const process = (times: LockTimes): UploadLocks => {
    const locks = new UploadLocks({ db, logger }, times);
    all.push(locks);
    return locks;
  };

  async function makeUpload(size: number): Promise<string> {
    const user = newId();
    const room = newId();
    await db
      .insertInto('users')
      .values({
        id: user,
        email: null,
        handle: user,
        name: '',
        password_hash: null,
        issuer: null,
        subject: null,
      })
      .execute();
    await db
      .insertInto('rooms')
      .values({
        id: room,
        slug: room,
        name: '',
        topic: null,
        visibility: 'PUBLIC',
        tag: 'tag',
        last_tag: 'tag',
      })
      .execute();
    const id = randomUUID();
    await transaction(db, (trx) =>
      insertUpload(trx, {
        id,
        user_id: user,
        room_id: room,
        name: 'a',
        claimed_type: '',
        size,
        is_direct: false,
        storage_key: newStorageKey(),
      }),
    );
    return id;
  }

  const must = async (done: Promise<boolean>): Promise<void> => {
    if (!(await done)) throw new Error('the lock was lost');
  };
  const ledger = (writer: Fenced): Ledger => ({
    lease: (key) => must(leaseFor(db, writer, key)),
    reservePart: async () =>
      (await reservePart(db, writer)) ?? Promise.reject(new Error('the lock was lost')),
    commit: (progress) => must(commitProgress(db, writer, progress)),
  });
  const receive = async (writer: Fenced, bytes: AsyncIterable<Uint8Array>): Promise<number> => {
    const upload = (await findUpload(db, writer.id))!;
    return receiver.receive(upload, await lastPartOf(db, writer.id), ledger(writer), {
      bytes,
      verify: undefined,
    });
  };
  const from = (text: string): Readable => Readable.from([Buffer.from(text)]);

  test('are had by one at a time, and let go for whoever asks, also elsewhere', async () => {
    const id = await makeUpload(100);
    const [one, two] = [process(ALIVE), process(ALIVE)];
    const order: string[] = [];
    const first = await one.acquire(id, () => {
      order.push('asked');
      void first.release();
    });
    const second = await two.acquire(id, () => {
      order.push('asked again');
      void second.release();
    });
    expect(second.fence).toBe(first.fence + 1);
    const third = await two.acquire(id, () => undefined);
    expect(order).toEqual(['asked', 'asked again']);
    await third.release();
  });

  test('are held on to as long as their process lives', async () => {
    const id = await makeUpload(100);
    const lock = await process(ALIVE).acquire(id, () => undefined);
    const impatient = process({ ...ALIVE, waitMs: 3000 });
    await expect(impatient.acquire(id, () => undefined)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await lock.release();
    await (await impatient.acquire(id, () => undefined)).release();
  });

  test('that were let go are not held on to by a heartbeat that was on its way', async () => {
    const id = await makeUpload(14);
    const lock = await process(STILL).acquire(id, () => undefined);
    expect(await holdLocks(db, [lock], 60_000)).toEqual([{ id, isWanted: false }]);
    await lock.release();
    expect(await holdLocks(db, [lock], 60_000)).toEqual([]);
    await (await process(ALIVE).acquire(id, () => undefined)).release();
  });

  test('are passed over when their process stands still, which then can write no byte that counts', async () => {
    const id = await makeUpload(14);
    const stale = await process(STILL).acquire(id, () => undefined);
    let goOn!: () => void;
    const pause = new Promise<void>((resolve) => (goOn = resolve));
    const late = receive(
      stale,
      (async function* () {
        yield Buffer.from('lost, ');
        await pause;
        yield Buffer.from('all of it');
      })(),
    );
    await eventually(10_000, 'its piece is there', async () => (await partsOf(db, id)).length === 1);

    const fresh = await process(ALIVE).acquire(id, () => undefined);
    expect(await receive(fresh, from('Leek, '))).toBe(6);
    await fresh.release();
    goOn();
    await expect(late).rejects.toThrow('the lock was lost');
    const next = await process(ALIVE).acquire(id, () => undefined);
    expect(await receive(next, from('potato, '))).toBe(14);

    const upload = (await findUpload(db, id))!;
    expect(upload).toMatchObject({ state: 'PROCESSING', received: 14 });
    const parts = await partsOf(db, id);
    expect(parts.map(({ size }) => size)).toEqual([0, 14]);
    expect((await buffer(receiver.read(parts))).toString()).toBe('Leek, potato, ');
    expect(await receiver.join(upload, parts)).toBe(parts[1]?.storage_key);
  });

  test('whose process died after some of it leave a piece behind which the next one begins another', async () => {
    const id = await makeUpload(14);
    const dead = await process(STILL).acquire(id, () => undefined);
    await receive(dead, from('Leek, '));
    const next = await process(ALIVE).acquire(id, () => undefined);
    await receive(next, from('potato, '));
    const parts = await partsOf(db, id);
    expect(parts.map(({ size }) => size)).toEqual([6, 8]);
    expect(await receiver.join((await findUpload(db, id))!, parts)).toBeUndefined();
    expect((await buffer(receiver.read(parts))).toString()).toBe('Leek, potato, ');
  });
});

import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Database } from '../../src/db/database.js';
import { transaction } from '../../src/db/database.js';
import { connectPostgres } from '../../src/db/dialect.js';
import { newId } from '../../src/db/ids.js';
import { migrateToLatest } from '../../src/db/migrator.js';
import { LeaseSweeper } from '../../src/files/lease-sweeper.js';
import { DiskStorage } from '../../src/files/storage/disk.js';
import { newStorageKey, type Storage } from '../../src/files/storage/storage.js';
import { UploadLease } from '../../src/files/upload-lease.js';
import { extendLease, insertLease, redeemLease } from '../../src/files/upload-leases.queries.js';
import { takeIn, type UploadDeps } from '../../src/files/uploads.js';
import { createLogger } from '../../src/observability/logger.js';
import { createDatabase, isMissing, services, type TestDatabase } from '../support/services.js';

const logger = createLogger('silent');
const uploader = { userId: newId(), atOnce: 10 };
const never = new AbortController().signal;
const text = {
  name: 'a.txt',
  claimedType: '',
  bytes: (async function* () {
    yield Buffer.from('text');
  })(),
};

describe.skipIf(isMissing(services.postgres))('leases on bytes', () => {
  let database: TestDatabase;
  let db: Database;
  let root: string;
  let storage: Storage;

  beforeAll(async () => {
    database = await createDatabase();
    db = connectPostgres({ databasePoolSize: 5 }, database.url, logger);
    await migrateToLatest(db);
  });
  afterAll(async () => {
    await db.destroy();
    await database[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'parley-leases-'));
    storage = await DiskStorage.open(root);
  });
  afterEach(async () => {
    await db.deleteFrom('upload_leases').execute();
    await rm(root, { recursive: true });
  });

  const leases = async (): Promise<string[]> =>
    (await db.selectFrom('upload_leases').select('storage_key').execute()).map((row) => row.storage_key);
  const onDisk = async (): Promise<string[]> =>
    (await readdir(root, { recursive: true }))
      .filter((name) => name.includes('/'))
      .map((name) => name.slice(3));
  const store = async (ms: number): Promise<string> => {
    const key = newStorageKey();
    await insertLease(db, key, ms);
    await storage.write(
      key,
      (async function* () {
        yield randomBytes(10);
      })(),
      never,
    );
    return key;
  };
  const redeem = (key: string): Promise<boolean> => transaction(db, (trx) => redeemLease(trx, key));

  test('a heartbeat keeps a lease alive', async () => {
    const lease = await UploadLease.take(db, uploader, { holdMs: 300, heartbeatMs: 100 });
    await delay(900);
    expect(lease.signal.aborted).toBe(false);
    expect(await redeem(lease.storageKey)).toBe(true);
    lease.release();
  });

  test('a lease that ran out stays so, and its upload is told', async () => {
    const lease = await UploadLease.take(db, uploader, { holdMs: 60, heartbeatMs: 100 });
    await expect.poll(() => lease.signal.aborted).toBe(true);
    expect(lease.signal.reason).toMatchObject({ code: 'UPLOAD_INCOMPLETE' });
    expect(await extendLease(db, lease.storageKey, 1000)).toBe(false);
    expect(await redeem(lease.storageKey)).toBe(false);
    lease.release();
  });

  test('an upload gives up when the database is away for as long as its lease', async () => {
    const away = vi.fn(() => {
      throw new Error('the database is away');
    });
    const lease = await UploadLease.take(db, uploader, { holdMs: 300, heartbeatMs: 50 });
    Object.assign(lease, { db: { updateTable: away } });
    await delay(150);
    expect(away).toHaveBeenCalled();
    expect(lease.signal.aborted).toBe(false);
    await expect.poll(() => lease.signal.aborted).toBe(true);
    lease.release();
  });

  test('a sweep takes what has run out, and nothing that lives', async () => {
    const dead = await Promise.all(Array.from({ length: 250 }, () => store(0)));
    const alive = await store(60_000);
    const sweeper = new LeaseSweeper({ db, storage, logger });
    sweeper.sweepSoon();
    sweeper.sweepSoon();
    await sweeper.idle();
    expect(await onDisk()).toEqual([alive]);
    expect(await leases()).toEqual([alive]);
    expect(dead).toHaveLength(250);
    await sweeper.stop();
  });

  test('two sweeps at once do no harm', async () => {
    await Promise.all(Array.from({ length: 50 }, () => store(0)));
    const sweepers = [1, 2, 3].map(() => new LeaseSweeper({ db, storage, logger }));
    for (const sweeper of sweepers) sweeper.sweepSoon();
    await Promise.all(sweepers.map((sweeper) => sweeper.idle()));
    expect([await onDisk(), await leases()]).toEqual([[], []]);
  });

  test('bytes that cannot be deleted now hold up no others, and are tried again', async () => {
    const stuck = await store(0);
    await store(0);
    let broken = true;
    const fragile: Storage = {
      write: (...args) => storage.write(...args),
      read: (key) => storage.read(key),
      send: (...args) => storage.send(...args),
      layDown: (...args) => storage.layDown(...args),
      size: (key) => storage.size(key),
      check: () => storage.check(),
      list: () => storage.list(),
      delete: (key) => (broken && key === stuck ? Promise.reject(new Error('stuck')) : storage.delete(key)),
    };
    const sweeper = new LeaseSweeper({ db, storage: fragile, logger });
    sweeper.sweepSoon();
    await sweeper.idle();
    expect([await onDisk(), await leases()]).toEqual([[stuck], [stuck]]);
    broken = false;
    sweeper.sweepSoon();
    await sweeper.idle();
    expect([await onDisk(), await leases()]).toEqual([[], []]);
  });

  test('a sweep passes by a lease that is just being redeemed', async () => {
    const key = await store(500);
    const sweeper = new LeaseSweeper({ db, storage, logger });
    await transaction(db, async (trx) => {
      expect(await redeemLease(trx, key)).toBe(true);
      await delay(600);
      sweeper.sweepSoon();
      await sweeper.idle();
      expect(await onDisk()).toEqual([key]);
    });
    sweeper.sweepSoon();
    await sweeper.idle();
    expect([await onDisk(), await leases()]).toEqual([[key], []]);
  });

  test('an upload whose commit was acknowledged to nobody keeps its bytes', async () => {
    const limits = { maxBytes: 100, allowedTypes: ['text/plain'], atOnce: 1 };
    const deps: UploadDeps = { db, storage, scanner: undefined, logger, limits };
    const lost = takeIn(deps, { userId: newId(), roomId: newId() }, text, async ({ storageKey }) => {
      await redeem(storageKey);
      throw new Error('the connection broke while the commit was acknowledged');
    });
    await expect(lost).rejects.toThrow('the connection broke');
    expect(await onDisk()).toHaveLength(1);
    expect(await leases()).toEqual([]);
  });
});

import fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type EmbeddedPostgres, openEmbeddedPostgres } from './pglite.js';

/** Making a database takes three seconds on an idle machine, opening it a fraction of one, and both more on a busy one. */
const TIMEOUT_MS = 60_000;
vi.setConfig({ testTimeout: TIMEOUT_MS });

let dir: string;
let db: EmbeddedPostgres | undefined;
let pool: pg.Pool;
const log: string[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parley-pglite-'));
}, TIMEOUT_MS);

beforeEach(async () => {
  await open();
  await pool.query('drop table if exists things');
  await pool.query('create table things (id int primary key, body text, size bigint)');
}, TIMEOUT_MS);

afterEach(async () => {
  if (!pool.ended) await pool.end();
});

afterAll(async () => {
  await close();
  await rm(dir, { recursive: true, force: true });
}, TIMEOUT_MS);

/** Starts the database unless it runs, and a pool on it. */
async function open(): Promise<void> {
  log.length = 0;
  db ??= await openEmbeddedPostgres(dir, { log: (line) => log.push(line) });
  pool = new pg.Pool(db.poolConfig);
}

/** Shuts the database down, so that the next `open` starts it. */
async function close(): Promise<void> {
  if (!pool.ended) await pool.end();
  await db?.close();
  db = undefined;
}

/** Another pool in place of the usual one. */
async function repool(options: pg.PoolConfig): Promise<void> {
  await pool.end();
  pool = new pg.Pool({ ...db?.poolConfig, ...options });
}

async function ids(): Promise<number[]> {
  const { rows } = await pool.query<{ id: number }>('select id from things order by id');
  return rows.map(({ id }) => id);
}

describe('a transaction', () => {
  test('has the session to itself: another one waits until it has ended', async () => {
    const first = await pool.connect();
    await first.query('begin');
    await first.query('insert into things values (1)');

    let secondBegan = false;
    const second = pool.connect().then(async (client) => {
      secondBegan = true;
      await client.query('begin');
      const { rows } = await client.query('select id from things');
      await client.query('commit');
      client.release();
      return rows;
    });
    await first.query('select 1');
    expect(secondBegan).toBe(false);
    await first.query('commit');
    first.release();

    expect(await second).toEqual([{ id: 1 }]);
  });

  test('stays whole in a pool that was given more clients', async () => {
    await repool({ max: 3, idleTimeoutMillis: 20 });
    const whole = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const client = await pool.connect();
        await client.query('begin');
        const before = await client.query('select pg_current_xact_id()::text as id');
        await new Promise((resolve) => setImmediate(resolve));
        const after = await client.query('select pg_current_xact_id()::text as id');
        await client.query('commit');
        client.release();
        return before.rows[0] !== undefined && JSON.stringify(before.rows) === JSON.stringify(after.rows);
      }),
    );
    expect(whole).toEqual([true, true, true, true, true, true]);
  });

  test('that asks the pool for a second client fails in time instead of hanging, and is undone', async () => {
    await repool({ connectionTimeoutMillis: 200 });
    const kysely = new Kysely<{ things: { id: number } }>({ dialect: new PostgresDialect({ pool }) });
    const work = kysely.transaction().execute(async (trx) => {
      await trx.insertInto('things').values({ id: 1 }).execute();
      await kysely.selectFrom('things').selectAll().execute();
    });
    await expect(work).rejects.toThrow('timeout exceeded when trying to connect');
    expect(await ids()).toEqual([]);
  });

  test('that failed refuses everything up to its rollback, and leaves nothing', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query('insert into things values (1)');
    await expect(client.query('select nonsense')).rejects.toMatchObject({ code: '42703' });
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('rollback');
    client.release();
    expect(await ids()).toEqual([]);
  });

  test('goes with the client that is dropped in it, as do its locks and settings', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query('insert into things values (1)');
    await client.query("set time zone 'Asia/Tokyo'");
    await client.query('select pg_advisory_lock(1)');
    await client.query({ name: 'mine', text: 'select $1::int', values: [1] });
    client.release(new Error('broken'));

    const { rows } = await pool.query(`
      select current_setting('timezone') as zone,
        (select count(*)::int from pg_locks where locktype = 'advisory') as locks,
        (select count(*)::int from pg_prepared_statements) as statements`);
    expect(rows).toEqual([{ zone: 'UTC', locks: 0, statements: 0 }]);
    expect(await ids()).toEqual([]);
  });
});

describe('the pool', () => {
  test('gives every query its own answer while others fail beside it', async () => {
    const queries = Array.from({ length: 40 }, (_, i) =>
      i % 3 === 0
        ? pool.query('select 1 / $1::int', [0]).catch((error: unknown) => (error as { code: string }).code)
        : pool.query<{ i: number }>('select $1::int as i', [i]).then(({ rows }) => rows[0]?.i),
    );
    expect(await Promise.all(queries)).toEqual(
      Array.from({ length: 40 }, (_, i) => (i % 3 === 0 ? '22012' : i)),
    );
  });

  test('keeps SQLSTATE, constraint and detail of an error', async () => {
    await pool.query('insert into things values (1)');
    await expect(pool.query('insert into things values ($1)', [1])).rejects.toMatchObject({
      code: '23505',
      constraint: 'things_pkey',
      detail: 'Key (id)=(1) already exists.',
    });
  });

  test('parses types as it was told to', async () => {
    const parsers = new pg.TypeOverrides();
    parsers.setTypeParser(pg.types.builtins.INT8, (text: string) => BigInt(text));
    await repool({ types: parsers });
    const { rows } = await pool.query('select 9007199254740993::bigint as n, $1::bytea as bytes', [
      Buffer.of(0, 255),
    ]);
    expect(rows).toEqual([{ n: 9007199254740993n, bytes: Buffer.of(0, 255) }]);
  });

  test('speaks the Postgres that the queries are written in', async () => {
    await pool.query('insert into things values (1)');
    const again = await pool.query('insert into things values (1) on conflict do nothing returning id');
    expect(again.rowCount).toBe(0);
    const client = await pool.connect();
    const notices: (string | undefined)[] = [];
    client.on('notice', ({ message }) => notices.push(message));
    await client.query('begin');
    const locked = await client.query('select id from things for no key update skip locked');
    await client.query('select pg_advisory_xact_lock(3853314791062309107)');
    await client.query("do $$ begin raise notice 'hello'; end $$");
    await client.query('commit');
    client.release();
    expect(locked.rows).toEqual([{ id: 1 }]);
    expect(notices).toEqual(['hello']);
  });

  test('carries texts of many megabytes in both directions', async () => {
    const body = 'ü😀'.repeat(1_000_000);
    const { rows } = await pool.query<{ body: string }>('select $1::text as body', [body]);
    expect(rows[0]?.body === body).toBe(true);
  });

  test('lets the event loop turn between the queries of a burst', async () => {
    let turns = 0;
    const count = (): void => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await Promise.all(Array.from({ length: 100 }, () => pool.query('select 1')));
    clearImmediate(timer);
    expect(turns).toBeGreaterThanOrEqual(100);
  });

  test('answers 57P01 once the database is closed', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query('insert into things values (1)');
    await db?.close();
    await expect(client.query('commit')).rejects.toMatchObject({ code: '57P01' });
    client.release();
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: '57P01' });

    await close();
    await open();
    expect(await ids()).toEqual([]);
  });
});

describe('the files', () => {
  test('hold everything after a shutdown, and the next start has nothing to recover', async () => {
    await pool.query('insert into things values (1)');
    await close();
    await open();
    expect(await ids()).toEqual([1]);
    expect(log.join('\n')).not.toContain('recovery');
  });

  test('are brought to disk once a commit, before it is acknowledged', async () => {
    const sync = vi.spyOn(fs, 'fdatasyncSync');
    syncBuiltinESMExports();
    try {
      for (let id = 1; id <= 10; id++) {
        await pool.query('insert into things values ($1)', [id]);
        expect(sync).toHaveBeenCalledTimes(id);
      }
      await pool.query('select * from things');
      expect(sync).toHaveBeenCalledTimes(10);
    } finally {
      sync.mockRestore();
      syncBuiltinESMExports();
    }
  });

  test('do not grow by the log of all that was ever written', async () => {
    for (let i = 0; i < 1_500; i++) {
      await pool.query(
        "insert into things select $1, string_agg(md5(random()::text), '') from generate_series(1, 1000)",
        [i],
      );
    }
    const { rows } = await pool.query<{ written: number; ahead: number }>(`
        select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 / 1e6 as written,
          pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::float8 / 1e6 as ahead
        from pg_control_checkpoint()`);
    expect(rows[0]?.written).toBeGreaterThan(50);
    expect(rows[0]?.ahead).toBeLessThan(32);
  });

  test('of another major version are refused with the reason', async () => {
    await close();
    fs.writeFileSync(join(dir, 'postgres', 'PG_VERSION'), '15\n');
    await expect(openEmbeddedPostgres(dir)).rejects.toThrow('database files are incompatible with server');
    fs.writeFileSync(join(dir, 'postgres', 'PG_VERSION'), '18\n');
    await open();
  });
});

test('Kysely works on it as on any Postgres', async () => {
  const kysely = new Kysely<{ things: { id: number; body: string | null } }>({
    dialect: new PostgresDialect({ pool }),
  });
  await kysely.transaction().execute(async (trx) => {
    await trx.insertInto('things').values({ id: 1, body: 'a' }).execute();
    await sql`select pg_advisory_xact_lock(1)`.execute(trx);
  });
  expect(await kysely.selectFrom('things').select(['id', 'body']).execute()).toEqual([{ id: 1, body: 'a' }]);
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type EmbeddedPostgres, openEmbeddedPostgres } from './pglite.js';
import { startVacuum } from './vacuum.js';

vi.setConfig({ testTimeout: 60_000 });

let dir: string;
let db: EmbeddedPostgres;
let pool: pg.Pool;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parley-vacuum-'));
  db = await openEmbeddedPostgres(dir);
  pool = new pg.Pool(db.poolConfig);
});

afterAll(async () => {
  await pool.end();
  await db.close();
  await rm(dir, { recursive: true, force: true });
});

async function state(): Promise<Record<string, { dead: number; vacuumed: number }>> {
  await pool.query('select pg_stat_force_next_flush()');
  const { rows } = await pool.query<{ name: string; dead: number; vacuumed: number }>(
    'select relname as name, n_dead_tup::int as dead, vacuum_count::int as vacuumed from pg_stat_user_tables',
  );
  return Object.fromEntries(rows.map(({ name, ...rest }) => [name, rest]));
}

test('dead rows are cleared away, from the tables that have many of them only', async () => {
  await pool.query('create table busy (id int); insert into busy select generate_series(1, 1000)');
  await pool.query('create table quiet (id int); insert into quiet values (1); update quiet set id = 2');
  await pool.query('delete from busy');
  expect((await state())['busy']?.dead).toBe(1000);

  await using _vacuum = startVacuum(pool, 50);
  await expect
    .poll(async () => (await state())['busy'], { timeout: 30_000 })
    .toEqual({ dead: 0, vacuumed: 1 });
  expect((await state())['quiet']?.vacuumed).toBe(0);
});

test('a failure is reported, and the next turn comes', async () => {
  const errors: unknown[] = [];
  const broken = { query: () => Promise.reject(new Error('no database')) } as unknown as pg.Pool;
  await using _vacuum = startVacuum(broken, 10, (error) => errors.push(error));
  await expect.poll(() => errors.length).toBeGreaterThan(1);
});

test('disposing stops it, at once and for good', async () => {
  let queries = 0;
  const counting = { query: () => Promise.resolve({ rows: [], n: queries++ }) } as unknown as pg.Pool;
  const vacuum = startVacuum(counting, 10);
  await expect.poll(() => queries).toBeGreaterThan(0);
  await vacuum[Symbol.asyncDispose]();
  const then = queries;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(queries).toBe(then);
});

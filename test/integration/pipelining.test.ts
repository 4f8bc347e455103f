import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sql } from 'kysely';
import type pg from 'pg';
import { transaction } from '../../src/db/database.js';
import { openPostgres, Pool, type Postgres } from '../../src/db/dialect.js';
import { quickRead, statement } from '../../src/db/statement.js';
import { createLogger } from '../../src/observability/logger.js';
import { eventually, within } from '../support/deadline.js';
import { createDatabase, isMissing, services, type TestDatabase } from '../support/services.js';

const logger = createLogger('silent');

const ITSELF = 'select $1::int as n, pg_backend_pid() as pid';
const itself = quickRead<{ n: number; pid: number }>('test_itself', ITSELF);
const itselfAlone = statement<{ n: number; pid: number }>('test_itself_alone', `${ITSELF} `);
const quotient = quickRead<{ n: number }>('test_quotient', 'select 6 / $1::int as n');
const readKept = quickRead<{ n: number }>('test_kept', 'select n from kept');

describe.skipIf(isMissing(services.postgres))('Quick statements', () => {
  let database: TestDatabase;
  /** Somebody else's connections. */
  let others: pg.Pool;
  let postgres: Postgres;

  const open = (databasePoolSize: number): Postgres =>
    openPostgres({ databasePoolSize }, database.url, logger);
  const connected = (): Promise<boolean> =>
    eventually(5000, 'its shared connections', async () => {
      await Promise.all([1, 2, 3].map((n) => itself(postgres.db, [n])));
      return postgres.pipelines.every(({ isConnected }) => isConnected);
    });
  const backends = async (): Promise<{ pid: number; query: string; wait_event_type: string | null }[]> =>
    (
      await others.query(
        `select pid, query, wait_event_type from pg_stat_activity where application_name = 'parley' and datname = current_database()`,
      )
    ).rows as { pid: number; query: string; wait_event_type: string | null }[];

  beforeEach(async () => {
    database = await createDatabase();
    others = new Pool({ connectionString: database.url, max: 2 }, logger);
    await others.query('create table kept (n int)');
    await others.query('insert into kept values (1)');
    postgres = open(5);
    await connected();
  });
  afterEach(async () => {
    await postgres.db.destroy();
    await others.end();
    await database[Symbol.asyncDispose]();
  });

  test('that are under way together are each answered what they asked for, by a few connections', async () => {
    const numbers = Array.from({ length: 2000 }, (_, i) => i);
    const answers = await Promise.all(numbers.map(async (n) => (await itself(postgres.db, [n]))[0]));
    expect(answers.map((row) => row?.n)).toEqual(numbers);
    const pids = new Set(answers.map((row) => row?.pid));
    // Two that are shared, and three of the pool for what would have to wait for too many.
    expect(pids.size).toBeGreaterThanOrEqual(2);
    expect(pids.size).toBeLessThanOrEqual(5);
    expect(await backends()).toHaveLength(pids.size);
  });

  test('share connections, which others do not', async () => {
    const of = async (read: typeof itself): Promise<Set<number>> =>
      new Set(
        (await Promise.all(Array.from({ length: 20 }, () => read(postgres.db, [1])))).map(
          ([row]) => row!.pid,
        ),
      );
    const [shared, pooled] = [await of(itself), await of(itselfAlone)];
    expect(shared.size).toBe(2);
    expect([...pooled].filter((pid) => shared.has(pid))).toEqual([]);
  });

  test('fail alone', async () => {
    const answers = await Promise.allSettled([1, 0, 2, 0, 3].map((by) => quotient(postgres.db, [by])));
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value[0]?.n : 'failed'))).toEqual([
      6,
      'failed',
      3,
      'failed',
      2,
    ]);
    expect(answers[1]).toMatchObject({ reason: { code: '22012' } });
    expect(await quotient(postgres.db, [6])).toEqual([{ n: 1 }]);
  });

  test('see in a transaction what it has written, and outside what is committed', async () => {
    await transaction(postgres.db, async (trx) => {
      await sql`update kept set n = 2`.execute(trx);
      expect(await readKept(trx, [])).toEqual([{ n: 2 }]);
      expect(await readKept(postgres.db, [])).toEqual([{ n: 1 }]);
    });
    expect(await readKept(postgres.db, [])).toEqual([{ n: 2 }]);
  });

  test('go past those that have to wait', async () => {
    const locker = await others.connect();
    await locker.query('begin');
    await locker.query('lock table kept in access exclusive mode');
    const held = [readKept(postgres.db, []), readKept(postgres.db, [])];
    await eventually(
      5000,
      'both wait',
      async () => (await backends()).filter((one) => one.wait_event_type === 'Lock').length === 2,
    );
    await eventually(5000, 'both hold others up', () =>
      postgres.pipelines.every((pipeline) => pipeline.load() === Infinity),
    );
    for (let n = 0; n < 10; n += 1) {
      expect((await within(5000, 'one that need not wait', itself(postgres.db, [n])))[0]?.n).toBe(n);
    }
    await locker.query('rollback');
    locker.release();
    expect(await Promise.all(held)).toEqual([[{ n: 1 }], [{ n: 1 }]]);
  });

  test('are answered although their connection is lost, which is made anew', async () => {
    const locker = await others.connect();
    await locker.query('begin');
    await locker.query('lock table kept in access exclusive mode');
    const held = Promise.all([readKept(postgres.db, []), readKept(postgres.db, [])]);
    await eventually(
      5000,
      'both wait',
      async () => (await backends()).filter((one) => one.wait_event_type === 'Lock').length === 2,
    );
    await others.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    await locker.query('rollback');
    locker.release();
    expect(await held).toEqual([[{ n: 1 }], [{ n: 1 }]]);
    await connected();
  });

  test('go on when the type of what they read is changed', async () => {
    await Promise.all(Array.from({ length: 20 }, () => readKept(postgres.db, [])));
    await others.query('alter table kept alter column n type bigint');
    for (let i = 0; i < 5; i++) {
      const answers = await Promise.allSettled(Array.from({ length: 20 }, () => readKept(postgres.db, [])));
      if (i > 0) expect(answers.filter(({ status }) => status === 'rejected')).toEqual([]);
    }
  });

  test('have connections of the pool where a process may have but two', async () => {
    await postgres.db.destroy();
    postgres = open(2);
    expect(postgres.pipelines).toEqual([]);
    const answers = await Promise.all([1, 2, 3, 4].map((n) => itself(postgres.db, [n])));
    expect(answers.map(([row]) => row?.n)).toEqual([1, 2, 3, 4]);
    expect((await backends()).length).toBeLessThanOrEqual(2);
  });
});

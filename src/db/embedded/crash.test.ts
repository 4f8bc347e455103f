import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { acquireDataDirLock } from './data-dir-lock.js';
import { openEmbeddedPostgres } from './pglite.js';

/** How often a writing process is killed. */
const ROUNDS = 3;
/** Acknowledged writes after which it is killed, at least. */
const WRITES = 200;
const TIMEOUT_MS = 120_000;

const url = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);

/** A process as the application is one: it takes the directory, opens the database, and writes one row after the other. */
const writer = (dir: string, beforeWriting = ''): string => `
  const { acquireDataDirLock } = await import(${url('./data-dir-lock.ts')});
  const { openEmbeddedPostgres } = await import(${url('./pglite.ts')});
  const { default: pg } = await import('pg');
  const lock = await acquireDataDirLock(${JSON.stringify(dir)}).catch((error) => {
    console.log(error.name);
    process.exit(1);
  });
  const db = await openEmbeddedPostgres(${JSON.stringify(dir)});
  const pool = new pg.Pool(db.poolConfig);
  await pool.query('create table if not exists acknowledged (id int generated always as identity, run int)');
  console.log('ready');
  ${beforeWriting}
  for (;;) {
    const { rows } = await pool.query('insert into acknowledged (run) values (1) returning id');
    console.log(rows[0].id);
  }`;

let dir: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parley-crash-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
});

afterAll(() => rm(dir, { recursive: true, force: true }));

function start(code: string): { child: ChildProcess; lines: AsyncIterator<string> } {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Reads until the process has nothing more to say; returns the ids that were acknowledged. */
async function acknowledged(lines: AsyncIterator<string>, upTo = Infinity): Promise<number[]> {
  const ids: number[] = [];
  while (ids.length < upTo) {
    const { value, done } = await lines.next();
    if (done === true) break;
    if (/^\d+$/.test(value)) ids.push(Number(value));
  }
  return ids;
}

/** The ids in the database, read as the next process would. */
async function stored(): Promise<Set<number>> {
  await using _lock = await acquireDataDirLock(dir);
  const db = await openEmbeddedPostgres(dir);
  const pool = new pg.Pool(db.poolConfig);
  const { rows } = await pool.query<{ id: number }>('select id from acknowledged');
  await pool.end();
  await db.close();
  return new Set(rows.map(({ id }) => id));
}

const missing = (ids: readonly number[], from: ReadonlySet<number>): number[] =>
  ids.filter((id) => !from.has(id));

test(
  'a process killed while it makes the database leaves nothing that stops the next one',
  async () => {
    const half = join(dir, 'postgres.new');
    // While PGlite prepares the files in memory, as they are copied, and while they are flushed.
    for (const sign of [half, join(half, 'base'), join(half, 'pg_wal', '000000010000000000000001')]) {
      const { child } = start(writer(dir));
      while (!existsSync(sign) && child.exitCode === null) await sleep(5);
      await kill(child);
      expect(existsSync(join(dir, 'postgres'))).toBe(false);
    }
    const { child, lines } = start(writer(dir));
    const ids = await acknowledged(lines, 1);
    await kill(child);
    expect(missing(ids, await stored())).toEqual([]);
    expect(existsSync(half)).toBe(false);
  },
  TIMEOUT_MS,
);

test(
  'what was acknowledged is still there after kill -9',
  async () => {
    const all: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const { child, lines } = start(writer(dir));
      all.push(...(await acknowledged(lines, WRITES + Math.floor(Math.random() * WRITES))));
      child.kill('SIGKILL');
      all.push(...(await acknowledged(lines)));
      expect(missing(all, await stored())).toEqual([]);
    }
    expect(all.length).toBeGreaterThanOrEqual(ROUNDS * WRITES);
  },
  TIMEOUT_MS,
);

test(
  'a second process is refused while the first writes on, and harms none of its writes',
  async () => {
    const first = start(writer(dir));
    const ids = await acknowledged(first.lines, 20);

    const second = start(writer(dir));
    expect((await second.lines.next()).value).toBe('DataDirInUseError');

    ids.push(...(await acknowledged(first.lines, 20)));
    first.child.kill('SIGKILL');
    ids.push(...(await acknowledged(first.lines)));
    expect(missing(ids, await stored())).toEqual([]);
  },
  TIMEOUT_MS,
);

test(
  'a disk that fails to keep a commit ends the process, and the commit is not acknowledged',
  async () => {
    const { child, lines } = start(
      writer(
        dir,
        `const { default: fs } = await import('node:fs');
        const { syncBuiltinESMExports } = await import('node:module');
        const { fdatasyncSync } = fs;
        let left = 10;
        fs.fdatasyncSync = (fd) => {
          if (left-- > 0) return fdatasyncSync(fd);
          throw Object.assign(new Error('EIO'), { code: 'EIO' });
        };
        syncBuiltinESMExports();`,
      ),
    );
    const ids = await acknowledged(lines);
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(70);
    expect(ids).toHaveLength(10);
    expect(missing(ids, await stored())).toEqual([]);
  },
  TIMEOUT_MS,
);

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireDataDirLock, DataDirInUseError } from './data-dir-lock.js';

/** Starting Node with tsx takes half a second on an idle machine, and much longer on a busy one. */
const TIMEOUT_MS = 60_000;

const MODULE = new URL('./data-dir-lock.ts', import.meta.url).href;
const FOREIGN = { token: 'f0', pid: 7, host: 'elsewhere', scope: 'another-boot/net:[1]/parley-1' };

let dir: string;
let lockFile: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'parley-lock-'));
  lockFile = join(dir, 'parley.lock');
});

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  await rm(dir, { recursive: true, force: true });
});

/** A process that tries to lock `dir`; resolves to the first thing it says: `held`, or why it was refused. */
async function contender(
  then = 'setInterval(() => {}, 1000)',
): Promise<{ child: ChildProcess; says: string }> {
  const code = `
    const { acquireDataDirLock } = await import(${JSON.stringify(MODULE)});
    try {
      const lock = await acquireDataDirLock(${JSON.stringify(dir)});
      console.log('held');
      ${then};
    } catch (error) {
      console.log(error.name + ': ' + error.message);
    }`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [says] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, says };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function foreignFile(ageMs: number): Promise<void> {
  await writeFile(lockFile, JSON.stringify(FOREIGN));
  const then = new Date(Date.now() - ageMs);
  await utimes(lockFile, then, then);
}

const token = async (): Promise<unknown> =>
  (JSON.parse(await readFile(lockFile, 'utf8')) as { token?: unknown }).token;

test('a directory that does not exist is made and locked', async () => {
  await using lock = await acquireDataDirLock(join(dir, 'new', 'data'));
  expect(lock.lost.aborted).toBe(false);
});

test('the same process is refused as well, by whatever path it comes', async () => {
  await using _lock = await acquireDataDirLock(dir);
  await symlink(dir, `${dir}-link`);
  try {
    await expect(acquireDataDirLock(dir)).rejects.toThrow(DataDirInUseError);
    await expect(acquireDataDirLock(`${dir}-link/.`)).rejects.toThrow(DataDirInUseError);
  } finally {
    await rm(`${dir}-link`);
  }
});

test('a lock that was given back can be taken again, and leaves no file behind', async () => {
  for (let i = 0; i < 3; i++) {
    await using lock = await acquireDataDirLock(dir);
    expect(lock.lost.aborted).toBe(false);
  }
  await expect(readFile(lockFile)).rejects.toThrow('ENOENT');
});

test(
  'a second process is refused with one line that names the directory, the holder and the way out',
  async () => {
    const { child, says } = await contender();
    expect(says).toBe('held');
    const before = await token();

    const refused = await acquireDataDirLock(dir).catch((error: unknown) => error);

    expect(refused).toBeInstanceOf(DataDirInUseError);
    expect((refused as Error).message).toBe(
      `DATA_DIR ${dir} is in use by another Parley process (pid ${child.pid}): ` +
        'stop that one first, or give this one a DATA_DIR of its own.',
    );
    expect(await token()).toBe(before);
  },
  TIMEOUT_MS,
);

test(
  'a holder that was killed is in nobody’s way, not even for a moment',
  async () => {
    for (let round = 0; round < 3; round++) {
      const { child, says } = await contender();
      expect(says).toBe('held');
      await kill(child);
      expect(await token()).toBeDefined();

      const started = performance.now();
      await using lock = await acquireDataDirLock(dir);
      expect(lock.lost.aborted).toBe(false);
      expect(performance.now() - started).toBeLessThan(1_000);
    }
  },
  TIMEOUT_MS,
);

test(
  'of many processes that start at once exactly one gets the directory',
  async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => contender()));
    const held = all.filter(({ says }) => says === 'held');
    expect(held).toHaveLength(1);
    for (const { says } of all) expect(says).toMatch(/^held$|^DataDirInUseError: DATA_DIR /);
  },
  TIMEOUT_MS,
);

test(
  'holding the lock does not keep a process alive',
  async () => {
    const { child, says } = await contender('');
    expect(says).toBe('held');
    if (child.exitCode === null) await once(child, 'exit');
    expect(child.exitCode).toBe(0);
  },
  TIMEOUT_MS,
);

test('an old file of a foreign host is taken over at once', async () => {
  await foreignFile(60_000);
  const started = performance.now();
  await using lock = await acquireDataDirLock(dir);
  expect(performance.now() - started).toBeLessThan(3_000);
  expect(lock.lost.aborted).toBe(false);
  expect(await token()).not.toBe(FOREIGN.token);
});

test('an old file that is no lock file is taken over too', async () => {
  await foreignFile(60_000);
  await writeFile(lockFile, '');
  const old = new Date(Date.now() - 60_000);
  await utimes(lockFile, old, old);
  await using lock = await acquireDataDirLock(dir);
  expect(lock.lost.aborted).toBe(false);
});

test(
  'a foreign file that was fresh a moment ago is taken over only after ten seconds of silence',
  async () => {
    await foreignFile(7_000);
    const started = performance.now();
    await using lock = await acquireDataDirLock(dir);
    expect(performance.now() - started).toBeGreaterThan(2_500);
    expect(lock.lost.aborted).toBe(false);
  },
  TIMEOUT_MS,
);

test(
  'a foreign file that is kept fresh refuses the directory, and stays as it is',
  async () => {
    await foreignFile(0);
    const heartbeat = setInterval(() => void utimes(lockFile, new Date(), new Date()), 1_000);
    try {
      await expect(acquireDataDirLock(dir)).rejects.toThrow('(pid 7 on host elsewhere)');
      expect(await token()).toBe(FOREIGN.token);
    } finally {
      clearInterval(heartbeat);
    }
    // The refused one gave back what it already had.
    await rm(lockFile);
    await using lock = await acquireDataDirLock(dir);
    expect(lock.lost.aborted).toBe(false);
  },
  TIMEOUT_MS,
);

test(
  'the heartbeat goes on, and puts a removed file back',
  async () => {
    await using lock = await acquireDataDirLock(dir);
    const mine = await token();
    await rm(lockFile);
    await expect.poll(() => token().catch(() => undefined), { timeout: 10_000 }).toBe(mine);
    expect(lock.lost.aborted).toBe(false);
  },
  TIMEOUT_MS,
);

test(
  'who was taken over by another host is told, and removes nothing of the new holder’s',
  async () => {
    const lock = await acquireDataDirLock(dir);
    await foreignFile(0);
    const deadline = sleep(10_000, undefined, { ref: false });
    if (!lock.lost.aborted) await Promise.race([once(lock.lost, 'abort'), deadline]);
    expect(lock.lost.reason).toBeInstanceOf(DataDirInUseError);
    expect((lock.lost.reason as Error).message).toContain('pid 7 on host elsewhere');
    await lock[Symbol.asyncDispose]();
    expect(await token()).toBe(FOREIGN.token);
  },
  TIMEOUT_MS,
);

import { randomUUID } from 'node:crypto';
import { link, open, readdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const HEARTBEAT_MS = 2_000;
/** Five heartbeats missed: the holder is taken for dead. */
const STALE_MS = 10_000;
const POLL_MS = 250;
/** How long one that took a stale file over waits to see whether another did the same at the same moment. */
const SETTLE_MS = 500;

const ownerSchema = z.object({
  /** Tells this holder from every other. */
  token: z.string(),
  pid: z.number(),
  host: z.string(),
  /** Processes of equal scope see each other's kernel guard (or, where there is none, each other's pids). */
  scope: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

export interface LockFileOptions {
  readonly guardName: string;
  /** True when this process holds the kernel guard, so that no other of its scope can be alive. */
  readonly guarded: boolean;
  /** Called once if another took the file over; `holder` says who. */
  readonly onLost: (holder: string | undefined) => void;
}

const lockPath = (dir: string): string => join(dir, 'parley.lock');

/** Who holds the lock file of `dir`, told as in an error message; undefined when there is none or it cannot be read. */
export async function readLockOwner(dir: string): Promise<{ readonly text: string } | undefined> {
  const owner = (await snapshot(lockPath(dir)))?.owner;
  return owner && { text: describe(owner) };
}

/**
 * Makes or takes over the lock file of `dir` and keeps its heartbeat going until it is disposed, which removes it.
 * Answers `{heldBy}` and leaves everything as it was when a living process of another scope has it; finding that out
 * takes up to ten seconds.
 */
export async function claimLockFile(
  dir: string,
  { guardName, guarded, onLost }: LockFileOptions,
): Promise<AsyncDisposable | { readonly heldBy: string | undefined }> {
  const path = lockPath(dir);
  const me: Owner = {
    token: randomUUID(),
    pid: process.pid,
    host: hostname(),
    scope: await scopeOf(guardName),
  };
  const text = `${JSON.stringify(me)}\n`;

  // Written whole before it gets its name, so that nobody ever reads half a file. Its time is the volume's own clock.
  const draft = `${path}.${me.token}`;
  await writeFile(draft, text, { flag: 'wx' });
  try {
    for (;;) {
      if (await createExclusively(draft, path)) break;
      const found = await snapshot(path);
      if (found === undefined) continue;
      if (isOrphan(found.owner, me, guarded)) {
        await rename(draft, path);
        break;
      }
      const now = (await stat(draft)).mtimeMs;
      const verdict = await watch(path, found, now);
      if (verdict === 'gone') continue;
      if (verdict === 'alive') return { heldBy: (await readLockOwner(dir))?.text };
      await rename(draft, path);
      await sleep(SETTLE_MS);
      const after = await snapshot(path);
      if (after?.owner?.token !== me.token) return { heldBy: after?.owner && describe(after.owner) };
      break;
    }
  } finally {
    await rm(draft, { force: true });
  }
  await sweepDrafts(path);
  return keepAlive(path, me.token, text, onLost);
}

/** Removes the drafts of processes that were killed before they could. */
async function sweepDrafts(path: string): Promise<void> {
  const dir = dirname(path);
  // The volume's clock: the lock file was written a moment ago.
  const now = (await stat(path).catch(() => undefined))?.mtimeMs;
  if (now === undefined) return;
  for (const name of await readdir(dir)) {
    if (!name.startsWith(`${basename(path)}.`)) continue;
    const draft = join(dir, name);
    const found = await stat(draft).catch(() => undefined);
    // A young one may belong to somebody who is waiting right now.
    if (found !== undefined && now - found.mtimeMs > 6 * STALE_MS) await rm(draft, { force: true });
  }
}

interface Snapshot {
  /** Undefined where the file is no lock file of ours: then only its heartbeat counts. */
  readonly owner: Owner | undefined;
  readonly mtimeMs: number;
}

async function snapshot(path: string): Promise<Snapshot | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return { owner: parse(text), mtimeMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parse(text: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** True when the owner is known to be dead without waiting for its heartbeat to stop. */
function isOrphan(owner: Owner | undefined, me: Owner, guarded: boolean): boolean {
  if (owner?.scope !== me.scope) return false;
  return guarded || !isAlive(owner.pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Looks at the file until it changes, disappears or has been still for STALE_MS. `now` is the volume's clock. */
async function watch(path: string, first: Snapshot, now: number): Promise<'alive' | 'gone' | 'stale'> {
  const deadline = performance.now() + STALE_MS - Math.max(0, now - first.mtimeMs);
  for (;;) {
    const seen = await snapshot(path);
    if (seen === undefined) return 'gone';
    if (seen.mtimeMs !== first.mtimeMs || seen.owner?.token !== first.owner?.token) return 'alive';
    if (performance.now() >= deadline) return 'stale';
    await sleep(POLL_MS);
  }
}

/** Gives `draft` the name `path` unless that exists. */
async function createExclusively(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    // No hard links here: the next best is exclusive too, but can be seen empty for a moment.
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS') {
      return createByWriting(draft, path);
    }
    throw error;
  }
}

async function createByWriting(draft: string, path: string): Promise<boolean> {
  try {
    await writeFile(path, await readFile(draft), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function keepAlive(
  path: string,
  token: string,
  text: string,
  onLost: (holder: string | undefined) => void,
): AsyncDisposable {
  let beating: Promise<void> | undefined;
  const timer = setInterval(() => {
    beating ??= beat().finally(() => (beating = undefined));
  }, HEARTBEAT_MS);
  timer.unref();

  async function beat(): Promise<void> {
    try {
      const found = await snapshot(path);
      if (found === undefined || found.owner?.token === token) {
        // Written and not touched: touching would set this machine's clock, writing sets the volume's.
        await overwrite(path, text);
        return;
      }
      clearInterval(timer);
      onLost(found.owner && describe(found.owner));
    } catch {
      // A full or failing disk: the next beat tries again, and whoever waits for silence still needs STALE_MS of it.
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await beating;
      if ((await snapshot(path))?.owner?.token === token) await rm(path, { force: true });
    },
  };
}

/** Over the old bytes, which are the same: a reader never finds the file empty, as it could after a truncation. */
async function overwrite(path: string, text: string): Promise<void> {
  const file = await open(path, 'r+').catch((error: unknown) => {
    // Somebody removed it by hand. That frees nothing, so it is put back.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return open(path, 'wx');
    throw error;
  });
  try {
    await file.write(text, 0);
  } finally {
    await file.close();
  }
}

const describe = (owner: Owner): string =>
  owner.host === hostname() ? `pid ${owner.pid}` : `pid ${owner.pid} on host ${owner.host}`;

/** Names the set of processes among which the kernel guard is decisive: this boot, this network namespace, this guard. */
async function scopeOf(guardName: string): Promise<string> {
  if (process.platform !== 'linux') return `${process.platform}/${hostname()}/${guardName}`;
  const [boot, namespace] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => hostname()),
    readlink('/proc/self/ns/net').catch(() => hostname()),
  ]);
  return `${boot.trim()}/${namespace}/${guardName}`;
}

import { writeSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { btree_gin } from '@electric-sql/pglite/contrib/btree_gin';
import { pg_trgm } from '@electric-sql/pglite/contrib/pg_trgm';
import type pg from 'pg';
import { createCluster } from './create-cluster.js';
import { DurableNodeFS } from './durable-node-fs.js';
import { PgliteSocket } from './pglite-socket.js';
import { SETTINGS } from './settings.js';
import { SingleSession } from './single-session.js';

/** Exit code of a process whose database has panicked: EX_SOFTWARE of sysexits.h. */
const PANIC_EXIT_CODE = 70;

export interface EmbeddedPostgresOptions {
  /** Told, line by line, what Postgres writes to its log: starts, recovery, shutdown. */
  readonly log?: (line: string) => void;
  /**
   * Called synchronously when the running Postgres has given up (PANIC: the disk failed, or the log could not be written;
   * FATAL: it was told to stop). PGlite would carry on with the remains, or loop forever, so this must end the process;
   * the next start recovers everything that was acknowledged.
   * By default it writes the reason to standard error and exits with code 70.
   */
  readonly onPanic?: (reason: string) => void;
}

export interface EmbeddedPostgres {
  /** For `new pg.Pool(…)`. Only pools made of it reach the database; see `openEmbeddedPostgres` on `max`. */
  readonly poolConfig: pg.PoolConfig;
  /** Shuts Postgres down so that the next start needs no recovery. End the pools first. Can be called again. */
  close(): Promise<void>;
}

/**
 * Opens the Postgres in `<dataDir>/postgres`, which runs inside this process, and makes it when it is not there.
 * Whoever calls holds the lock of `dataDir` (acquireDataDirLock): two processes on one directory destroy it.
 *
 * Guarantees:
 * - A commit is on disk (fdatasync) before it is acknowledged; it survives kill -9 and a power cut. A process killed at
 *   any moment, the very first start included, leaves a directory that the next start can use.
 * - Transactions never mix: there is one session, and a pool of it has one client (`max: 1`). Everybody else waits until
 *   it is released, at most `connectionTimeoutMillis` (30 s), then fails with "timeout exceeded when trying to connect".
 *   A pool with a larger `max`, or a second pool, is as correct, but waits for the first client to be idle long enough
 *   to be closed: leave `max` alone.
 * - A client that is dropped in a transaction takes it along: the next one finds a clean session.
 *
 * Beware:
 * - **Using the pool inside a transaction deadlocks** until that timeout: the query waits for the client that the
 *   transaction holds, and the transaction for the query. Pass `trx` on. The same holds for work outside (a request, a
 *   file) awaited inside a transaction: everybody waits for it.
 * - Postgres runs on this thread: while a statement runs, nothing else does, `statement_timeout` included.
 * - Session-level advisory locks guard nothing beyond the client's own time with the session, which is exclusive anyway.
 * - COPY FROM STDIN is fatal: the process ends (`onPanic`). LISTEN hears of notifications with the next answer only.
 *
 * @throws Error with Postgres' last words when it cannot start, such as on files of another major version.
 */
export async function openEmbeddedPostgres(
  dataDir: string,
  { log = () => undefined, onPanic = exitOnPanic }: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const dir = join(dataDir, 'postgres');
  if (!(await exists(join(dir, 'PG_VERSION')))) await createCluster(dir);

  let lastWords = '';
  // While it starts, what goes wrong comes out of waitReady; while it closes, it is gone anyway.
  const gaveUp = (): void => {
    if (pglite.ready) onPanic(lastWords);
  };
  const pglite: PGlite = new PGlite({
    fs: new DurableNodeFS(dir, gaveUp),
    // Their programs are no part of the directory: whoever opens it brings them.
    extensions: { pg_trgm, btree_gin },
    startParams: [
      // Without -F, which turns fsync off.
      ...PGlite.defaultStartParams.filter((param) => param !== '-F'),
      ...Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    onStderr: (line) => {
      log(line);
      if (/ (?:FATAL|PANIC): /.test(line)) {
        lastWords = line;
        gaveUp();
      }
      return false;
    },
  });
  try {
    await pglite.waitReady;
  } catch (error) {
    throw new Error(`The embedded Postgres in ${dir} does not start: ${lastWords || String(error)}`, {
      cause: error,
    });
  }

  const session = new SingleSession(pglite, log);
  let closed: Promise<void> | undefined;
  return {
    poolConfig: {
      stream: () => new PgliteSocket(session),
      max: 1,
      // The client costs nothing while it is idle.
      idleTimeoutMillis: 0,
      connectionTimeoutMillis: 30_000,
      // Said here so that no PGHOST, PGSSLMODE and the like of the environment matter.
      host: 'embedded',
      port: 5432,
      user: 'postgres',
      database: 'postgres',
      ssl: false,
    },
    close: () => (closed ??= pglite.close()),
  };
}

function exitOnPanic(reason: string): void {
  // Synchronously, as there is no later.
  writeSync(2, `The embedded Postgres has panicked, the process ends: ${reason}\n`);
  process.exit(PANIC_EXIT_CODE);
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

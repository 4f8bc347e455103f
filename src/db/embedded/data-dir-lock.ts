import { realpath } from 'node:fs/promises';
import { StartError } from '../../errors.js';
import { makeFolder } from '../../make-folder.js';
import { acquireKernelGuard, kernelGuardName } from './kernel-guard.js';
import { claimLockFile, readLockOwner } from './lock-file.js';

/** The right to use a data directory, held until it is disposed or the process dies. */
export interface DataDirLock extends AsyncDisposable {
  /**
   * Aborted, with a DataDirInUseError as its reason, when another machine or container took the directory over because
   * this process showed no sign of life for ten seconds. Two writers corrupt the database: stop the process at once.
   */
  readonly lost: AbortSignal;
}

/** Another process uses the data directory. The message is one line for the one who started this process. */
export class DataDirInUseError extends StartError {
  override readonly name = 'DataDirInUseError';

  /** `holder` tells who has it, such as `pid 123`; undefined where it could not be found out. */
  constructor(
    readonly dataDir: string,
    readonly holder?: string,
  ) {
    super(
      `DATA_DIR ${dataDir} is in use by another Parley process${holder === undefined ? '' : ` (${holder})`}: ` +
        'stop that one first, or give this one a DATA_DIR of its own.',
    );
  }
}

/**
 * Takes `dataDir` (made when it is missing) for this process alone; everything in it is untouched until then.
 *
 * Two guards in this order, since neither is enough:
 * 1. one that the kernel frees with the process, SIGKILL included, so that a crash never stands in the way of the next
 *    start; it is seen by everything in the same network namespace (on Windows by the whole machine);
 * 2. a lock file with a heartbeat, for a volume that several containers or hosts mount. A file left by a process that
 *    guard 1 would have seen is taken over at once; one left by any other when its heartbeat has stopped for ten seconds.
 *
 * @throws {DataDirInUseError} when another process has it: at once where the kernel knows, within ten seconds else.
 */
export async function acquireDataDirLock(dataDir: string): Promise<DataDirLock> {
  await makeFolder(dataDir);
  const dir = await realpath(dataDir);
  const guardName = await kernelGuardName(dir);

  const guard = await acquireKernelGuard(guardName);
  if (guard === 'taken') throw new DataDirInUseError(dataDir, (await readLockOwner(dir))?.text);

  const lost = new AbortController();
  try {
    const file = await claimLockFile(dir, {
      guardName,
      guarded: guard !== 'unsupported',
      onLost: (holder) => lost.abort(new DataDirInUseError(dataDir, holder)),
    });
    if ('heldBy' in file) throw new DataDirInUseError(dataDir, file.heldBy);
    return {
      lost: lost.signal,
      async [Symbol.asyncDispose]() {
        // The file first: whoever gets the guard next must not find it.
        try {
          await file[Symbol.asyncDispose]();
        } finally {
          if (guard !== 'unsupported') await guard[Symbol.asyncDispose]();
        }
      },
    };
  } catch (error) {
    if (guard !== 'unsupported') await guard[Symbol.asyncDispose]();
    throw error;
  }
}

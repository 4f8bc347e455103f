import type { Config } from '../config/config.js';
import type { Clock } from '../db/clock.js';
import type { Database } from '../db/database.js';
import type { Bus } from '../events/bus.js';
import type { JobKind } from '../jobs/job-runner.js';
import type { Logger } from '../observability/logger.js';
import { remembered } from '../observability/remembered.js';
import { Clamd } from './clamd.js';
import type { DownloadDeps } from './downloads.js';
import { FilesService } from './files.service.js';
import { LeaseSweeper } from './lease-sweeper.js';
import { FileLinks } from './links.js';
import { openPreviews, type Previews } from './processing/previews.js';
import { uploadJob } from './resumable/upload-job.js';
import { UploadLocks } from './resumable/upload-locks.js';
import { UploadSessions } from './resumable/upload-sessions.js';
import type { StoreDeps } from './resumable/upload-store.js';
import { UploadTokens } from './resumable/upload-tokens.js';
import { matchStore } from './store-id.js';
import { openStorage } from './storage/open.js';

export interface FilesPlace {
  readonly config: Config;
  readonly db: Database;
  /** The same for what no client waits for. */
  readonly background: Database;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly logger: Logger;
  /** Signs links, and the tokens of uploads. */
  readonly secret: string;
  /** What addresses begin with. */
  readonly publicUrl: () => string;
  /** Has jobs looked for that were committed. */
  readonly wakeJobs: () => void;
}

/** What the rest of the server needs of files. */
export interface OpenFiles {
  readonly files: FilesService;
  readonly uploadSessions: UploadSessions;
  readonly jobKinds: readonly JobKind[];
  readonly downloads: DownloadDeps;
  readonly resumable: StoreDeps & {
    readonly locks: UploadLocks;
    readonly tokens: UploadTokens;
    readonly maxBytes: number;
    readonly logger: Logger;
  };
  /** What `/readyz` asks, by name. */
  readonly health: Readonly<Record<string, () => Promise<unknown>>>;
  /** What files may do without, and whether it is there. */
  readonly optional: Previews['state'];
}

/**
 * Puts the parts of files together: where their bytes lie, how they come, go and are served, and the jobs that are done to them. `closers` are to be
 * called in the reverse order. Throws StartError for a folder of another database.
 */
export async function openFiles(
  { config, db, background, clock, bus, logger, secret, publicUrl, wakeJobs }: FilesPlace,
  closers: (() => unknown)[],
): Promise<OpenFiles> {
  const { uploads: limits, quotas } = config;
  const { storage, receiver, direct, folder, addressOf, close } = await openStorage(config, clock.now);
  closers.push(close);
  if (folder !== undefined) await matchStore(db, storage, folder);
  const sweeper = new LeaseSweeper({ db: background, storage, logger, clock });
  sweeper.start();
  closers.push(() => sweeper.stop());

  const previews = openPreviews({
    db,
    bus,
    storage,
    sweeper,
    logger,
    dataDir: config.dataDir,
    previews: config.previews,
  });
  closers.push(() => previews.close());

  const links = new FileLinks(secret, publicUrl, clock.now);
  const scanner = config.scanner && new Clamd(config.scanner);
  const files = new FilesService({
    db,
    bus,
    storage,
    scanner,
    sweeper,
    links,
    logger,
    limits,
    quotas,
    wakeJobs,
    showsPreviews: config.previews.on,
  });
  const { uploads } = files;
  const locks = new UploadLocks({ db, logger });
  closers.push(() => locks.stop());
  const tokens = new UploadTokens(secret, clock.now);
  const completed = wakeJobs;
  return {
    files,
    uploadSessions: new UploadSessions({
      db,
      locks,
      now: clock.now,
      sweeper,
      uploads,
      direct,
      completed,
      tokens,
      limits,
      quotas,
      publicUrl,
    }),
    jobKinds: [
      ...previews.jobs,
      uploadJob({ db: background, storage, receiver, scanner, sweeper, logger, limits, uploads }),
    ],
    downloads: {
      links,
      storage,
      addressOf,
      logger,
      findFile: (id) => files.stored(id),
      variants: previews.variants,
    },
    resumable: {
      db,
      receiver,
      locks,
      tokens,
      completed,
      logger,
      maxBytes: limits.maxBytes,
      discarded: () => sweeper.sweepSoon(),
    },
    health: {
      storage: remembered(() => storage.check()),
      ...(scanner && { scanner: () => scanner.ping() }),
    },
    optional: previews.state,
  };
}

import { parseArgs } from 'node:util';
import type { Config } from './config/config.js';
import { ConfigError, loadConfig } from './config/env.js';
import { withDatabase } from './db/command.js';
import type { Database } from './db/database.js';
import { explain, runCommand } from './db/explain.js';
import { StartError } from './errors.js';
import { checkFiles } from './files/files-check.js';
import { copyFiles } from './files/files-copy.js';
import { matchStore } from './files/store-id.js';
import { openDisk, openS3, openStorage, type OpenedStorage } from './files/storage/open.js';
import { createLogger, logWarnings } from './observability/logger.js';

const USAGE = `usage: npm run files -- check [--hashes] [--mend]
       npm run files -- copy --from disk|s3 --to disk|s3
  check     compare the files in the database with the bytes in storage, both ways
  --hashes  also read all bytes and compare them with their hashes
  --mend    delete bytes that belong to no file and no upload
  copy      copy the bytes of all files that are not there yet; can be repeated
`;

/** Exit codes: 0 all is well; 1 something was found, or it could not be done; 2 no such command. */
async function main(args: string[]): Promise<void> {
  const asked = commandOf(args);
  if (asked === undefined) {
    process.stderr.write(USAGE);
    process.exitCode = 2;
    return;
  }
  const config = loadConfig();
  const logger = createLogger(config.logLevel);
  logWarnings(logger);
  const tell = (line: string): void => void process.stdout.write(`${line}\n`);
  const isWell = await withDatabase(config, logger, async (db) => {
    if (asked.command === 'check') {
      using opened = closing(await reached(await openStorage(config), config));
      await matchFolder(db, opened);
      return await checkFiles({ db, logger, tell, storage: opened.storage }, asked);
    }
    using from = closing(await reached(await open(asked.from, config), config));
    await matchFolder(db, from);
    using to = closing(await reached(await open(asked.to, config), config));
    return await copyFiles({ db, tell, from: from.storage, to: to.storage });
  });
  if (!isWell) process.exitCode = 1;
}

type Kind = 'disk' | 's3';

type Asked =
  | { readonly command: 'check'; readonly mend: boolean; readonly hashes: boolean }
  | { readonly command: 'copy'; readonly from: Kind; readonly to: Kind };

const isKind = (text: string | undefined): text is Kind => text === 'disk' || text === 's3';

function commandOf(args: string[]): Asked | undefined {
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        mend: { type: 'boolean', default: false },
        hashes: { type: 'boolean', default: false },
        from: { type: 'string' },
        to: { type: 'string' },
      },
    });
    const { mend, hashes, from, to } = values;
    if (positionals.length !== 1) return undefined;
    if (positionals[0] === 'check') return { command: 'check', mend, hashes };
    if (positionals[0] !== 'copy' || !isKind(from) || !isKind(to) || from === to) return undefined;
    return { command: 'copy', from, to };
  } catch {
    return undefined;
  }
}

function open(kind: Kind, config: Config): Promise<OpenedStorage> {
  if (kind === 'disk') return openDisk(config);
  if (config.s3 === undefined)
    throw new ConfigError('S3_BUCKET: got nothing; copying from or to s3 takes it');
  return openS3(config, config.s3);
}

/** Throws StartError for a place that is not there, or does not answer. */
async function reached(opened: OpenedStorage, { s3 }: Config): Promise<OpenedStorage> {
  try {
    await opened.storage.check();
    return opened;
  } catch (error) {
    opened.close();
    const what =
      opened.folder === undefined ? `S3_BUCKET: ${s3?.bucket ?? ''}` : `DATA_DIR: ${opened.folder}`;
    throw new StartError(`${what} cannot be used: ${STATUS[statusOf(error) ?? 0] ?? explain(error)}`);
  }
}

/** The bucket's answers have no words for these. */
const STATUS: Readonly<Record<number, string>> = {
  301: 'it is in another region; set S3_REGION',
  403: 'access is denied',
  404: 'there is no such bucket',
};

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;

/** Throws StartError for a folder that is not the one of the database's files: in another's, all would be orphans. */
async function matchFolder(db: Database, { storage, folder }: OpenedStorage): Promise<void> {
  if (folder !== undefined) await matchStore(db, storage, folder);
}

const closing = (opened: OpenedStorage): OpenedStorage & Disposable => ({
  ...opened,
  [Symbol.dispose]: opened.close,
});

runCommand(() => main(process.argv.slice(2)));

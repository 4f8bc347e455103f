import { join } from 'node:path';
import type { Config } from '../../config/config.js';
import type { Now } from '../../db/clock.js';
import type { DirectStore } from './direct.js';
import { DiskReceiver } from './disk-receiver.js';
import { DiskStorage } from './disk.js';
import type { Receiver } from './receiver.js';
import type { SaidOfBytes, Storage } from './storage.js';

/** Makes an address that gives the bytes under a key to whoever holds it, for some seconds, with these headers. */
export type AddressOf = (key: string, said: SaidOfBytes, seconds: number) => Promise<string>;

/** The storage that the configuration names. */
export interface OpenedStorage {
  readonly storage: Storage;
  /** What takes uploads over several requests. */
  readonly receiver: Receiver;
  /** What lets clients send bytes to the bucket themselves; undefined for a folder. */
  readonly direct: DirectStore | undefined;
  /** The folder that it is; undefined for a bucket. */
  readonly folder: string | undefined;
  /** Where downloads are to be sent; undefined where they come through this server. */
  readonly addressOf: AddressOf | undefined;
  readonly close: () => void;
}

/** Opens the storage that the configuration names: a bucket, or the folder `files` of DATA_DIR. `now`: what addresses are timed by. */
export async function openStorage(
  config: Pick<Config, 'dataDir' | 's3' | 'uploads'>,
  now?: Now,
): Promise<OpenedStorage> {
  return config.s3 === undefined ? openDisk(config) : openS3(config, config.s3, now);
}

/** The folder `files` of DATA_DIR, whatever else is configured. */
export async function openDisk({ dataDir }: Pick<Config, 'dataDir'>): Promise<OpenedStorage> {
  const folder = join(dataDir, 'files');
  const storage = await DiskStorage.open(folder);
  return {
    storage,
    receiver: new DiskReceiver(folder),
    direct: undefined,
    folder,
    addressOf: undefined,
    close: () => undefined,
  };
}

/** A bucket, whatever else is configured. */
export async function openS3(
  { uploads }: Pick<Config, 'uploads'>,
  s3: NonNullable<Config['s3']>,
  now?: Now,
): Promise<OpenedStorage> {
  // Only where it is wanted: it is large, and a start is to be quick.
  const { S3Storage } = await import('./s3.js');
  const storage = new S3Storage(s3, uploads.maxBytes, now);
  return {
    storage,
    receiver: storage.receiver(),
    direct: storage.direct(),
    folder: undefined,
    addressOf: s3.redirects ? (...args) => storage.address(...args) : undefined,
    close: () => {
      storage.close();
    },
  };
}

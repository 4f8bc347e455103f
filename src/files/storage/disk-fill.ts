import type { FileHandle } from 'node:fs/promises';
import { writeAll } from './disk-files.js';

/** Bytes gathered while the disk is busy, then written in one call. */
const WRITE_BUFFER = 512 * 1024;
/**
 * Bytes after which what was written begins to go to the disk, while more arrives: little is left to wait for behind the last one, and nobody else's
 * commit has to wait for a large file to be written out at once.
 */
const SYNC_BYTES = 16 * 1024 * 1024;
/** Files that are synced so at the same time: each has one of the four threads that all work on files waits for. */
const MAX_SYNCS = 2;
let syncs = 0;

/**
 * Writes `bytes` into a new file and resolves when they are on the disk; writes while the next ones are gathered, so that the disk and the
 * network work at the same time. Takes the chunks as Storage.write does. Rejects with what the source, the disk or the signal said.
 */
export async function fill(
  handle: FileHandle,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const file = new FileWriter(handle);
  for await (const chunk of bytes) {
    signal.throwIfAborted();
    await file.take(chunk);
  }
  await file.end();
}

class FileWriter {
  private gathered: Uint8Array[] = [];
  private size = 0;
  private position = 0;
  /** One write at a time, and one sync; a failure of either stays, and is thrown by whoever waits for it. */
  private writing = Promise.resolve();
  private syncing = Promise.resolve();
  private isSyncing = false;
  private synced = 0;

  constructor(private readonly handle: FileHandle) {}

  async take(chunk: Uint8Array): Promise<void> {
    this.gathered.push(chunk);
    this.size += chunk.length;
    if (this.size >= WRITE_BUFFER) await this.write();
  }

  async end(): Promise<void> {
    await this.write();
    await this.writing;
    await this.syncing;
    await this.handle.sync();
  }

  /** Begins to write what was gathered, when what was before is written. */
  private async write(): Promise<void> {
    const { gathered, position } = this;
    this.gathered = [];
    this.position += this.size;
    this.size = 0;
    await this.writing;
    if (position - this.synced >= SYNC_BYTES && !this.isSyncing && syncs < MAX_SYNCS) this.sync(position);
    this.writing = unseen(writeAll(this.handle, gathered, position));
  }

  private sync(position: number): void {
    this.isSyncing = true;
    syncs += 1;
    this.synced = position;
    this.syncing = unseen(
      this.syncing
        .then(() => this.handle.datasync())
        .finally(() => {
          this.isSyncing = false;
          syncs -= 1;
        }),
    );
  }
}

/** A promise that is awaited later: until then its failure has been seen. */
function unseen(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}

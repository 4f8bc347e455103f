import { open, type FileHandle } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { fill } from './disk-fill.js';

const MIB = 1024 * 1024;
const never = new AbortController().signal;
let handle: FileHandle;

afterEach(() => handle.close());

async function* zeros(mib: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < mib; i++) yield await Promise.resolve(new Uint8Array(MIB));
}

// What Linux can write to and cannot sync.
test.runIf(process.platform === 'linux')(
  'writes a large file out while it arrives, and fails when that failed',
  async () => {
    handle = await open('/dev/null', 'w');
    await expect(fill(handle, zeros(40), never)).rejects.toMatchObject({ syscall: 'fdatasync' });
    await expect(fill(handle, zeros(1), never)).rejects.toMatchObject({ syscall: 'fsync' });
  },
);

test.runIf(process.platform === 'linux')('fails when the last write fails', async () => {
  handle = await open('/dev/full', 'w');
  await expect(fill(handle, zeros(1), never)).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(fill(handle, zeros(3), never)).rejects.toMatchObject({ code: 'ENOSPC' });
});

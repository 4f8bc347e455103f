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

test.runIf(process.platform === 'linux')(
  'has two files at most synced while they arrive, for all share the threads that work on files',
  async () => {
    let [now, most] = [0, 0];
    const handles = await Promise.all(Array.from({ length: 5 }, () => open('/dev/null', 'w')));
    handle = handles[0]!;
    const writing = handles.map(async (one) => {
      one.datasync = async () => {
        most = Math.max(most, (now += 1));
        await new Promise((resolve) => setTimeout(resolve, 20));
        now -= 1;
      };
      one.sync = () => Promise.resolve();
      await fill(one, zeros(100), never);
    });
    await Promise.all(writing);
    expect(most).toBe(2);
    await Promise.all(handles.slice(1).map((one) => one.close()));
  },
);

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

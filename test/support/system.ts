import { readFile } from 'node:fs/promises';

/** The processes that `pid` has started and that have not ended; only on Linux. */
export async function childrenOf(pid: number): Promise<number[]> {
  const pids = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return pids.split(' ').flatMap((text) => (text.trim() === '' ? [] : [Number(text)]));
}

/** Resident memory in bytes, as the kernel counts it; only on Linux. */
export async function memoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Whether there is such a process still. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** What /proc counts CPU time in, a second. */
const TICKS = 100;

/** Cores that others may use during a measurement before it is repeated. */
export const DISTURBED = 0.1;

/** CPU seconds that a process and all that it started have used so far, those that have ended among them. */
export function cpuSeconds(pid) {
  let ticks = 0;
  for (const one of tree(pid)) {
    const stat = read(`/proc/${one}/stat`);
    // Its name, in parentheses, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return ticks / TICKS;
}

/** The father of the kernel's threads, which write to the disk what the bench has written, among others. */
const KERNEL_THREADS = 2;

/** CPU seconds that the whole machine has spent on anything but the kernel and the bench, whose first process is `benchPid`. */
export function othersCpuSeconds(benchPid) {
  const [, user, nice, system] = read('/proc/stat').split('\n')[0].trim().split(/\s+/).map(Number);
  return (user + nice + system) / TICKS - cpuSeconds(benchPid) - cpuSeconds(KERNEL_THREADS);
}

/** Resident memory of a process in KiB. */
export const residentKiB = (pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1]);

/** What a process has had in memory at most, in KiB, since `forgetPeak`. */
export const peakKiB = (pid) => Number(/^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1]);

/** From here on the peak of a process is what it has now, and what comes. */
export const forgetPeak = (pid) => writeFileSync(`/proc/${pid}/clear_refs`, '5');

function tree(pid) {
  const found = [pid];
  for (const one of found) {
    for (const thread of list(`/proc/${one}/task`)) {
      const children = read(`/proc/${one}/task/${thread}/children`).split(' ').filter(Boolean);
      found.push(...children.map(Number));
    }
  }
  return found;
}

/** Empty when the process has just ended. */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(path) {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';

/** Share of all cores that may be busy before a measurement begins. */
const QUIET = 0.12;
/** Milliseconds that are waited for that at most. */
const PATIENCE_MS = 180_000;

/** What the numbers were measured on, for whoever compares them. */
export function describeMachine() {
  const release = readFileSync('/etc/os-release', 'utf8');
  return {
    cpu: os.cpus()[0].model.trim(),
    cores: os.cpus().length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    os: `${/^PRETTY_NAME="?([^"\n]*)/m.exec(release)[1]}, Linux ${os.release()}`,
    node: process.version.slice(1),
    // What commits are synced to: on a memory disk they would cost nothing.
    disk: run('df', '--output=fstype', os.tmpdir()).split('\n')[1],
  };
}

/** Which state of the program runs. */
export function describeCommit() {
  try {
    const commit = run('git', 'rev-parse', '--short', 'HEAD');
    const changes = run('git', 'status', '--porcelain', '--', 'src', 'migrations', 'package-lock.json');
    return changes === '' ? commit : `${commit} with changes`;
  } catch {
    return 'an unknown commit';
  }
}

/** Keeps this process, and what it starts from now on, on these cores: a list that taskset takes. */
export function pinTo(cpus) {
  run('taskset', '--all-tasks', '--cpu-list', '--pid', cpus, String(process.pid));
}

/** Files and sockets that one process may have open here. */
export const openFilesLimit = () =>
  Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1]);

/** Resolves once whatever else runs on this machine leaves it alone, or after three minutes with a warning. */
export async function quiet() {
  const deadline = Date.now() + PATIENCE_MS;
  for (let told = false; ; told = true) {
    const busy = await busyShare();
    if (busy <= QUIET) return;
    const percent = `${(busy * 100).toFixed(0)} %`;
    if (Date.now() > deadline) return console.error(`  still busy (${percent}), measuring all the same`);
    if (!told) console.error(`  the machine is busy (${percent}), waiting`);
  }
}

/** Over a second; the load average would take minutes to tell. */
async function busyShare() {
  const before = cpuTimes();
  await pause(1000);
  const after = cpuTimes();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}

function cpuTimes() {
  const times = os.cpus().map((cpu) => cpu.times);
  const sum = (read) => times.reduce((total, one) => total + read(one), 0);
  return { idle: sum((t) => t.idle), all: sum((t) => t.user + t.nice + t.sys + t.idle + t.irq) };
}

const run = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' }).trim();

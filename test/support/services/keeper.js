// Runs beside the tests and owns one temporary directory and the processes that work in it. When whoever started it is
// gone, for whatever reason (done, failed, Ctrl-C, kill -9), the channel between them closes: then it ends the
// processes, removes the directory, and ends. So nothing is ever left behind.
import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const [parent = '', uid = '', gid = ''] = process.argv.slice(2);
const user = uid === '' ? {} : { uid: Number(uid), gid: Number(gid) };
const directory = mkdtempSync(join(parent, 'parley-test-'));
if (user.uid !== undefined) chownSync(directory, user.uid, user.gid);

const log = openSync(join(directory, 'log'), 'a');
/** @type {Map<import('node:child_process').ChildProcess, { stopSignal: NodeJS.Signals, ended: Promise<void> }>} */
const running = new Map();

/** @typedef {{ id: number, command: string, args: string[], stopSignal: NodeJS.Signals }} Start */
process.on('message', (/** @type {Start} */ { id, command, args, stopSignal }) => {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
  const child = spawn(command, args, { ...user, cwd: directory, env, stdio: ['ignore', log, log] });
  const ended = new Promise((/** @type {(value: void) => void} */ resolve) => {
    /** @param {string} how */
    const end = (how) => {
      if (!running.delete(child)) return;
      if (process.connected) process.send?.({ id, ended: how });
      resolve();
    };
    child.on('error', (error) => end(error.message));
    child.on('exit', (code, signal) => end(signal ?? `exit code ${String(code)}`));
  });
  running.set(child, { stopSignal, ended });
  if (child.pid !== undefined) process.send?.({ id, pid: child.pid });
});

process.on('disconnect', () => {
  void endEverything();
});

async function endEverything() {
  const ends = [...running].map(([child, { stopSignal, ended }]) => {
    child.kill(stopSignal);
    // One that was stopped (SIGSTOP) or is stuck gets no second chance.
    setTimeout(() => child.kill('SIGKILL'), 5_000).unref();
    return ended;
  });
  await Promise.all(ends);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}

process.send?.({ directory });

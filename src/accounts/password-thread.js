import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { hashSync, verifySync } from '@node-rs/argon2';

/**
 * The thread that hashes passwords (password-hasher.ts starts it), so that the threads which files are read by stay free. JavaScript, since
 * a thread is started without the loader that tests and `npm run dev` have for TypeScript.
 *
 * @typedef {{ kind: 'hash', password: string } | { kind: 'verify', stored: string, password: string }} Task
 * @typedef {{ value: string | boolean } | { error: string }} Answer
 */

/**
 * argon2id with OWASP's parameters: 19 MiB, 2 passes, 1 lane.
 * https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
 */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** What serves requests goes first where processors are short. Linux has priorities of threads; elsewhere it stays as it is. */
const NICE = 5;
try {
  const [, , thread] = readlinkSync('/proc/thread-self').split('/');
  setPriority(Number(thread), NICE);
} catch {
  // No Linux, or no /proc.
}

/**
 * @param {Task} task
 * @returns {Answer}
 */
function answer(task) {
  try {
    return {
      value:
        task.kind === 'hash' ? hashSync(task.password, PARAMETERS) : verifySync(task.stored, task.password),
    };
  } catch (error) {
    return { error: String(error) };
  }
}

parentPort?.on('message', (/** @type {Task} */ task) => {
  parentPort?.postMessage(answer(task));
});

import { execFile } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Debian asks this file whether a package may start its service. */
const POLICY = '/usr/sbin/policy-rc.d';

/** Installs a package as root on Debian and its kin. Answers why it could not, or undefined. */
export async function aptInstall(name: string): Promise<string | undefined> {
  if (!existsSync('/usr/bin/apt-get')) return `there is no apt-get to install ${name} with`;
  if (process.getuid?.() !== 0) return `installing ${name} takes root`;
  console.log(`Installing ${name} for the tests`);
  // The program is wanted, not the service that its package would leave running.
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await apt(120_000, 'update');
    await apt(300_000, 'install', '--yes', '--no-install-recommends', name);
    return undefined;
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    const last = stderr.trim().split('\n').at(-1) ?? '';
    return `apt-get could not install ${name}${last === '' ? ' in time' : `: ${last}`}`;
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
}

async function apt(timeout: number, ...args: string[]): Promise<void> {
  const patience = [
    ['Acquire::Retries', '3'],
    ['Acquire::http::Timeout', '20'],
    ['DPkg::Lock::Timeout', '60'],
  ].flatMap(([option = '', value = '']) => ['-o', `${option}=${value}`]);
  await run('apt-get', [...patience, ...args], {
    timeout,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    maxBuffer: 64 * 1024 * 1024,
  });
}

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { aptInstall } from './apt.js';
import type { Service } from './service.js';

const LIB = '/usr/lib';

/** The library that gives a program another clock, in the folder of this machine's architecture. */
export async function findFaketime(): Promise<Service> {
  const find = (): string | undefined =>
    (existsSync(LIB) ? readdirSync(LIB) : [])
      .map((folder) => join(LIB, folder, 'faketime', 'libfaketime.so.1'))
      .find((path) => existsSync(path));
  const here = find();
  if (here !== undefined) return { at: here };
  const why = await aptInstall('faketime');
  const installed = find();
  return installed !== undefined
    ? { at: installed }
    : { missing: `libfaketime is not on this machine, and ${why ?? 'faketime did not bring it'}` };
}

/** The environment of a program whose clock is off by `offset`, such as `+40d` or `-90s`; timers and time-outs are left right. */
export const clockOff = (library: string, offset: string): Record<string, string> => ({
  LD_PRELOAD: library,
  FAKETIME: offset,
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
  NO_FAKE_STAT: '1',
});

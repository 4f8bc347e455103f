import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { aptInstall } from './apt.js';
import type { Service } from './service.js';

/** The path of a program on the PATH, or in the folders where its package hides it. */
export function findBinary(name: string, elsewhere: readonly string[] = []): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...onPath, ...elsewhere].map((folder) => join(folder, name)).find(isExecutable);
}

/** The same, from the distribution's package when it is not here yet and we may install it. */
export async function findOrInstall(
  name: string,
  debianPackage: string,
  elsewhere: () => readonly string[] = () => [],
): Promise<Service> {
  const find = (): string | undefined => findBinary(name, elsewhere());
  const here = find();
  if (here !== undefined) return { at: here };
  const why = await aptInstall(debianPackage);
  const installed = find();
  return installed !== undefined
    ? { at: installed }
    : { missing: `${name} is not on this machine, and ${why ?? `${debianPackage} did not bring it`}` };
}

/** Debian keeps the servers of each major version out of the PATH; the newest comes first. */
export function postgresFolders(): string[] {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base) : [];
  return versions.sort((a, b) => Number(b) - Number(a)).map((version) => join(base, version, 'bin'));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

import { join } from 'node:path';
import type { Config } from './config.js';

/** Where the data is, for the log line of a start: no user and no password. */
export function placesOf({ databaseUrl, dataDir, s3 }: Config): { database: string; files: string } {
  return {
    database: databaseUrl === undefined ? `embedded in ${join(dataDir, 'postgres')}` : serverOf(databaseUrl),
    files: s3 === undefined ? join(dataDir, 'files') : `s3://${s3.bucket}/${s3.prefix}`,
  };
}

function serverOf(databaseUrl: string): string {
  const { host, pathname, searchParams } = new URL(databaseUrl);
  return `postgres://${host || (searchParams.get('host') ?? 'localhost')}${pathname}`;
}

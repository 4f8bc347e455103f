import { readFile } from 'node:fs/promises';
import type { Config } from '../../config/config.js';
import { EMBEDDED_FILES } from '../../db/embedded/settings.js';
import type { Logger } from '../../observability/logger.js';

/** For Node itself, the log, Redis, the scanner, jobs with their programs, and files that are open for a moment. */
const OWN = 100;
/** What is left for connections where nearly nothing is. */
const LEAST = 32;
/** The share of it that WebSockets may take: the rest is for requests. */
const SOCKET_SHARE = 0.9;

interface ConnectionLimits {
  /** File descriptors that connections may take, with the files that they open. Infinity where the system does not say. */
  readonly descriptors: number;
  /** WebSockets that are accepted. */
  readonly sockets: number;
}

/** Shares out the file descriptors of this process, so that the database and files always have theirs, and logs the limits. */
export async function connectionLimits(config: Config, logger: Logger): Promise<ConnectionLimits> {
  const { databaseUrl, databasePoolSize } = config;
  const limit = descriptorsIn(await readFile('/proc/self/limits', 'utf8').catch(() => ''));
  const database = databaseUrl === undefined ? EMBEDDED_FILES : databasePoolSize;
  const descriptors = Math.max(limit - OWN - database, LEAST);
  const wanted = config.sockets.limit;
  const sockets = Math.min(wanted, Math.floor(descriptors * SOCKET_SHARE));
  const told = {
    ...(Number.isFinite(limit) && { fileDescriptors: limit, connections: Math.floor(descriptors / 2) }),
    sockets,
  };
  if (sockets < wanted) {
    logger.warn(
      told,
      `SOCKET_LIMIT is ${String(wanted)}, but the file descriptors of this process allow ${String(sockets)} WebSockets: raise \`ulimit -n\``,
    );
  } else {
    logger.info(told, 'limits of this process');
  }
  return { descriptors, sockets };
}

/** How many a process may have open, as `/proc/self/limits` says; Infinity where it does not. */
function descriptorsIn(limits: string): number {
  const [, soft] = /^Max open files\s+(\d+)\s/m.exec(limits) ?? [];
  return soft === undefined ? Infinity : Number(soft);
}

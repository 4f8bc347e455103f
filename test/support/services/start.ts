import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { createCluster } from '../../../src/db/embedded/create-cluster.js';
import { findChromium } from '../chromium.js';
import { findBinary, findOrInstall, postgresFolders } from './binaries.js';
import { dropDatabases, withClient } from './databases.js';
import { findFaketime } from './faketime.js';
import { SBIN } from './nginx.js';
import { findObjectStore, startObjectStore } from './object-store.js';
import { startPostgres } from './postgres.js';
import { startRedis } from './redis.js';
import { openSandbox } from './sandbox.js';
import { isMissing, type Service } from './service.js';

/** What a run of the tests has beside the program. Handed to every test file as `services`. */
export interface Services {
  /** Names what this run makes on servers that outlive it. */
  readonly run: string;
  /** A superuser's address of the database `postgres`, or another one from where databases can be made. */
  readonly postgres: Service;
  /** Shared by all test files: keys and channels of one must not matter to another. */
  readonly redis: Service;
  /** An embedded database that was just made, to be copied: making one takes seconds. */
  readonly embeddedTemplate: string;
  /** The binary, for `startRedis`. */
  readonly redisServer: Service;
  /** The address of an S3 server with a bucket. */
  readonly objectStore: Service;
  readonly chromium: Service;
  /** The binary, for `startNginx`. */
  readonly nginx: Service;
  /** The binary, for `startClamd`. */
  readonly clamd: Service;
  /** The binaries, of which the server finds the others beside. */
  readonly ffmpeg: Service;
  readonly poppler: Service;
  /** The library, for `clockOff`. */
  readonly faketime: Service;
}

export interface StartedServices extends AsyncDisposable {
  readonly services: Services;
}

/**
 * Finds or starts everything: an address that is given (TEST_DATABASE_URL, TEST_REDIS_URL), a binary of this machine,
 * or Debian's package. What cannot be had is missing with its reason, unless REQUIRE_TEST_SERVICES says that it must not.
 * An address that is given and does not answer is an error, never a reason to skip.
 */
export async function startServices(): Promise<StartedServices> {
  const started: AsyncDisposable[] = [];
  const dispose = async (): Promise<void> => {
    for (const one of started.reverse()) await one[Symbol.asyncDispose]();
  };
  try {
    const run = randomBytes(4).toString('hex');
    const redisServer = await findRedisServer();
    const [postgres, redis, embeddedTemplate, objectStore] = await Promise.all([
      havePostgres(run, started),
      haveRedis(redisServer, started),
      makeEmbeddedTemplate(started),
      haveObjectStore(started),
    ]);
    const services: Services = {
      run,
      postgres,
      redis,
      embeddedTemplate,
      redisServer,
      objectStore,
      chromium: findChromium(),
      nginx: await findOrInstall('nginx', 'nginx', () => SBIN),
      clamd: await findOrInstall('clamd', 'clamav-daemon', () => SBIN),
      ffmpeg: await findOrInstall('ffmpeg', 'ffmpeg'),
      poppler: await findOrInstall('pdftoppm', 'poppler-utils'),
      faketime: await findFaketime(),
    };
    const reasons = missingReasons(services);
    if (reasons.length > 0 && (process.env['REQUIRE_TEST_SERVICES'] ?? '') !== '') {
      throw new Error(['REQUIRE_TEST_SERVICES is set', ...reasons].join('\n'));
    }
    return { services, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** One line for each service that is missing: what is skipped, and why. */
export function missingReasons({
  postgres,
  redis,
  redisServer,
  objectStore,
  chromium,
  nginx,
  clamd,
  ffmpeg,
  poppler,
  faketime,
}: Services): string[] {
  const suites = {
    'that need Postgres': postgres,
    'that need Redis': redis,
    // Without any Redis there is one reason to tell.
    ...(!isMissing(redis) && { 'that restart a Redis of their own': redisServer }),
    'that need an S3 server': objectStore,
    'in a browser': chromium,
    'behind nginx': nginx,
    'that scan files': clamd,
    'of films': ffmpeg,
    'of PDFs': poppler,
    'of clocks that are wrong': faketime,
  };
  return Object.entries(suites).flatMap(([which, service]) =>
    isMissing(service) ? [`Skipped the tests ${which}: ${service.missing}`] : [],
  );
}

async function havePostgres(run: string, started: AsyncDisposable[]): Promise<Service> {
  const given = process.env['TEST_DATABASE_URL'] ?? '';
  if (given !== '') {
    await answers('TEST_DATABASE_URL', () => withClient(given, (client) => client.query('select 1')));
    started.push({ [Symbol.asyncDispose]: () => dropDatabases(given, run) });
    return { at: given };
  }
  const binary = await findOrInstall('postgres', 'postgresql', postgresFolders);
  if (isMissing(binary)) return binary;
  const server = await startPostgres();
  started.push(server);
  return { at: server.url };
}

/** Installed only where no Redis is given; a binary that is here serves the tests that restart one all the same. */
async function findRedisServer(): Promise<Service> {
  if ((process.env['TEST_REDIS_URL'] ?? '') === '') return findOrInstall('redis-server', 'redis-server');
  const binary = findBinary('redis-server');
  return binary === undefined ? { missing: 'redis-server is not on this machine' } : { at: binary };
}

async function haveRedis(binary: Service, started: AsyncDisposable[]): Promise<Service> {
  const given = process.env['TEST_REDIS_URL'] ?? '';
  if (given !== '') {
    const client = new Redis(given, { lazyConnect: true, connectTimeout: 5_000, retryStrategy: () => null });
    // The failed connect below tells; without a listener it would be printed as well.
    client.on('error', () => undefined);
    await answers('TEST_REDIS_URL', () => client.connect());
    client.disconnect();
    return { at: given };
  }
  if (isMissing(binary)) return binary;
  const server = await startRedis();
  started.push(server);
  return { at: server.url };
}

async function haveObjectStore(started: AsyncDisposable[]): Promise<Service> {
  const python = await findObjectStore();
  if (isMissing(python)) return python;
  const server = await startObjectStore(python.at);
  started.push(server);
  return { at: server.url };
}

async function makeEmbeddedTemplate(started: AsyncDisposable[]): Promise<string> {
  const sandbox = await openSandbox();
  started.push(sandbox);
  const template = join(sandbox.directory, 'postgres');
  await createCluster(template);
  return template;
}

async function answers(variable: string, probe: () => Promise<unknown>): Promise<void> {
  try {
    await probe();
  } catch (cause) {
    throw new Error(`${variable}: nothing answers there`, { cause });
  }
}

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp, type App } from '../../src/app.js';
import type { Config } from '../../src/config/config.js';
import { readConfig } from '../../src/config/env.js';
import { connectPostgres } from '../../src/db/dialect.js';
import { migrateToLatest } from '../../src/db/migrator.js';
import { createLogger } from '../../src/observability/logger.js';
import { bucketEnvironment, type Store } from './object-store.js';
import { NO_RATES } from './rates.js';
import { createDatabase, isMissing, locationOf, services } from './services.js';

/** Every suite that goes through the API runs over each of these that this machine has. */
export type Backend = 'embedded' | 'postgres';

export const backends: readonly Backend[] =
  isMissing(services.postgres) || isMissing(services.redis) ? ['embedded'] : ['embedded', 'postgres'];

/** Where the parts of a server lie: two servers on one place are two processes of a cluster. */
export interface Place extends AsyncDisposable {
  readonly backend: Backend;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
}

export async function makePlace(backend: Backend, store: Store = 'disk'): Promise<Place> {
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-test-'));
  const bytesIn = store === 's3' ? bucketEnvironment() : {};
  const clean = (): Promise<void> => rm(dataDir, { recursive: true, force: true });
  if (backend === 'embedded') {
    await cp(services.embeddedTemplate, join(dataDir, 'postgres'), { recursive: true });
    return { backend, dataDir, env: bytesIn, [Symbol.asyncDispose]: clean };
  }
  const database = await createDatabase(migrate);
  return {
    backend,
    dataDir,
    env: {
      ...bytesIn,
      DATABASE_URL: database.url,
      REDIS_URL: locationOf(services.redis),
      JWT_SECRET: 'a secret that the processes of one place share',
    },
    [Symbol.asyncDispose]: async () => {
      await database[Symbol.asyncDispose]();
      await clean();
    },
  };
}

/** The environment of a server on `place`, on a port that the system picks. */
export const environmentOf = (place: Place, more: Record<string, string> = {}): Record<string, string> => ({
  PORT: '0',
  DATA_DIR: place.dataDir,
  LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
  SIGN_UP_LIMIT_PER_ADDRESS: '100000',
  ...NO_RATES,
  DRAIN_DELAY: '0s',
  // What they find is told in the room's log, which most suites look at to the last event.
  PREVIEWS: 'false',
  ...place.env,
  ...more,
});

/** A server in this process, on a place that goes on when it ends. */
export async function startOn(place: Place, more: Record<string, string> = {}): Promise<App> {
  const config: Config = readConfig(environmentOf(place, more));
  return createApp(config, createLogger(config.logLevel));
}

/** A server in this process on a fresh place, which goes with it. */
export async function startParley(
  backend: Backend = 'embedded',
  more: Record<string, string> = {},
  store: Store = 'disk',
): Promise<App & { readonly place: Place }> {
  const place = await makePlace(backend, store);
  try {
    const app = await startOn(place, more);
    return {
      ...app,
      place,
      [Symbol.asyncDispose]: async () => {
        await app[Symbol.asyncDispose]();
        await place[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}

async function migrate(url: string): Promise<void> {
  const db = connectPostgres({ databasePoolSize: 2 }, url, createLogger('silent'));
  try {
    await migrateToLatest(db);
  } finally {
    await db.destroy();
  }
}

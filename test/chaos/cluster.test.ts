import { describe, expect, test } from 'vitest';
import { isMissing, services } from '../support/services.js';
import { runChaos, type ChaosOptions } from './chaos.js';
import { failures, table } from './report.js';

/** Short runs: `npm run chaos` makes long ones. */
const TIMEOUT_MS = 240_000;

/** Another one each time, and printed, so that what it drew can be drawn again. */
const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 1e9));

async function survive(options: Omit<ChaosOptions, 'seed' | 'rate'>): Promise<void> {
  const outcome = await runChaos({ seed, rate: 16, ...options });
  console.log(table(outcome));
  expect(failures(outcome)).toEqual([]);
  expect(outcome.verdict.deliveries).toBeGreaterThan(1000);
}

describe.skipIf(isMissing(services.postgres) || isMissing(services.redisServer))('a cluster of two', () => {
  test(
    'loses nothing, doubles nothing and keeps the order, whatever fails',
    () => survive({ seconds: 40 }),
    TIMEOUT_MS,
  );

  test(
    'loses nothing when one of its processes is killed for good',
    () => survive({ seconds: 5, forGood: true }),
    TIMEOUT_MS,
  );

  test(
    'loses nothing while the masters of its Redis Cluster fail and slots move between them',
    () => survive({ seconds: 40, faults: 2, redisCluster: true }),
    TIMEOUT_MS,
  );

  test(
    'loses nothing while its processes are replaced, and no client connects more than once for it',
    () => survive({ seconds: 60, workers: 2, faults: 2 }),
    TIMEOUT_MS,
  );
});

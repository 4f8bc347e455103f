import { parseArgs } from 'node:util';
import { runChaos } from './chaos.js';
import { runEmbedded } from './embedded.js';
import { embeddedFailures, embeddedTable, failures, table } from './report.js';

/**
 * `npm run chaos -- --seed 1 --seconds 120 --faults 100 --rate 24 --for-good`, the same with `--redis-cluster` or `--workers 2`, or
 * `npm run chaos -- --embedded 50`: prints what it does, then the report. Exit code 1 when anything was lost, doubled or out of order.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seconds: { type: 'string', default: '120' },
    faults: { type: 'string' },
    rate: { type: 'string', default: '24' },
    'redis-cluster': { type: 'boolean', default: false },
    workers: { type: 'string' },
    'for-good': { type: 'boolean', default: false },
    embedded: { type: 'string' },
  },
});

const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
const log = (line: string): void => console.log(line);

async function runCluster(): Promise<string[]> {
  const outcome = await runChaos({
    seed,
    seconds: Number(values.seconds),
    ...(values.faults !== undefined && { faults: Number(values.faults) }),
    ...(values.workers !== undefined && { workers: Number(values.workers) }),
    rate: Number(values.rate),
    redisCluster: values['redis-cluster'],
    forGood: values['for-good'],
    log,
  });
  log(`\n${table(outcome)}`);
  return failures(outcome);
}

async function runAlone(kills: number): Promise<string[]> {
  const outcome = await runEmbedded({ seed, kills, log });
  log(`\n${embeddedTable(outcome)}`);
  return embeddedFailures(outcome);
}

const wrong = values.embedded === undefined ? await runCluster() : await runAlone(Number(values.embedded));
for (const line of wrong) console.log(`WRONG: ${line}`);
process.exit(wrong.length > 0 ? 1 : 0);

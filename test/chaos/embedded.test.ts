import { expect, test } from 'vitest';
import { runEmbedded } from './embedded.js';
import { embeddedFailures, embeddedTable } from './report.js';

const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 1e9));

test('an embedded server that is killed again and again keeps every acknowledged write', async () => {
  const outcome = await runEmbedded({ seed, kills: 4 });
  console.log(embeddedTable(outcome));
  expect(embeddedFailures(outcome)).toEqual([]);
}, 240_000);

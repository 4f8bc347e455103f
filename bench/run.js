import { Bench } from './lib/bench.js';
import { describeCommit, describeMachine, pinTo } from './lib/machine.js';
import { readOptions, UsageError } from './lib/options.js';
import { installPeers, versionsOf } from './lib/peers.js';
import { checkPlace, publish, report, save } from './lib/results.js';
import { Services } from './lib/services.js';
import { crowd } from './sections/crowd.js';
import { download } from './sections/download.js';
import { fanout } from './sections/fanout.js';
import { images } from './sections/images.js';
import { overhead } from './sections/overhead.js';
import { pages } from './sections/pages.js';
import { post } from './sections/post.js';
import { upload } from './sections/upload.js';

/** `npm run bench -- fanout | post | pages | overhead | upload | download | images`: measures, keeps the numbers, prints the tables. docs/performance.md says how. */
async function main(args) {
  const {
    name,
    section: asked,
    options,
  } = readOptions(args, { fanout, post, pages, overhead, upload, download, images });
  const section = options.crowd ? crowd : asked;
  section.check?.(options);
  const outcomeName = section.nameOf(options);
  if (options.publish) await checkPlace(outcomeName);
  const machine = describeMachine();
  installPeers();
  // The server alone is moved to its own core.
  pinTo(options.loadCpu);

  const bench = new Bench(options, new Services(section.postgres));
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      // What runs ends with us: its keepers see to it.
      process.exit(130);
    });
  }
  try {
    const { peers, runs } = await section.run(bench);
    const postgresUrl = await bench.services.postgresUrl();
    const [{ server_version: postgres }] = await bench.services.query(postgresUrl, 'show server_version');
    const outcome = {
      name: outcomeName,
      command: `npm run bench -- ${[name, ...args.slice(1)].join(' ')}`,
      measured: new Date().toISOString(),
      commit: describeCommit(),
      machine: { ...machine, postgres: postgres.split(' ')[0] },
      versions: versionsOf(peers),
      options,
      peers: peers.map(({ name, title, limit = false }) => ({ name, title, limit })),
      runs,
    };
    console.error(`kept in ${await save(outcome)}`);
    const tables = section.tables(outcome);
    console.log(`\n${report(outcome, tables)}\n`);
    if (options.publish) await publish(outcome, tables);
    if (runs.some((run) => run.failed !== undefined)) process.exitCode = 1;
  } finally {
    await bench.stop();
  }
}

await main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});

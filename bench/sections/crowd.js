import { peersOf } from '../lib/peers.js';
import { formatSpread, markdownTable } from '../lib/statistics.js';
import { checkOpenFiles, fanout } from './fanout.js';

/** Everyone comes back at once, each from another place in the log: no peer but Parley has a log to come back to. */
export const crowd = {
  /** Counts statements. It costs the database a little, so the other sections go without. */
  postgres: ['shared_preload_libraries=pg_stat_statements'],

  options: fanout.options,

  nameOf: ({ n }) => `crowd${n === 1000 ? '' : `-${n}`}`,

  check: ({ n }) => checkOpenFiles(n),

  async run(bench) {
    const peers = await peersOf('crowd', bench.options);
    return { peers, runs: await bench.interleave(peers, (peer) => measure(bench, peer), JSON.stringify) };
  },

  tables({ peers, runs }) {
    const rows = peers.map((peer) => {
      const mine = runs.filter((run) => run.peer === peer.name && run.failed === undefined);
      const all = (read) => formatSpread(mine.map(read));
      return {
        peer: peer.title,
        'all connected, s': all((run) => run.connected),
        'all caught up, s': all((run) => run.caughtUp),
        'missed messages': all((run) => run.deliveries),
        'CPU s': all((run) => run.cpu),
        statements: all((run) => run.statements),
        'of them on the log': all((run) => run.logReads),
        'next message to all, ms': all((run) => run.live),
      };
    });
    return [markdownTable(rows)];
  },
};

async function measure(bench, { name, part }) {
  const { n, missed } = bench.options;
  const server = await part.start(bench);
  try {
    const { url, pid, database } = server;
    return await bench.load('crowd.js', { peer: name, n, missed, url, pid, database });
  } finally {
    await server.stop();
  }
}

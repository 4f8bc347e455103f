import { UsageError } from '../lib/options.js';
import { openFilesLimit } from '../lib/machine.js';
import { peersOf } from '../lib/peers.js';
import { format, formatRatio, formatSpread, markdownTable, median } from '../lib/statistics.js';

/** Some messages, many who get each of them: how fast, and at what cost. */
export const fanout = {
  options: {
    n: { default: '1000', help: 'subscribers' },
    rooms: { default: '1', help: 'rooms they are spread over' },
    selections: { default: '1', help: 'different selections among them' },
    m: { default: '200', help: 'messages of a burst at most (ten times as many in rooms)' },
    bursts: { default: '3', help: 'bursts of a run' },
    'burst-seconds': { default: '4', help: 'time of a burst at most, about' },
    'in-flight': { default: '8', help: 'posts in flight in a burst' },
    gentle: { default: '20x10,5x6', help: 'messages a second x seconds, or no' },
    settle: { default: '3000', help: 'milliseconds before memory is looked at' },
    crowd: { help: 'instead: all come back at once' },
    missed: { default: '200', help: 'messages that the first of the crowd has missed' },
  },

  nameOf({ n, rooms, selections }) {
    const spread = rooms > 1 ? `-${rooms}-rooms` : '';
    const many = selections > 1 ? `-${selections}-selections` : '';
    return `fanout${n === 1000 ? '' : `-${n}`}${spread}${many}`;
  },

  check({ n, rooms, gentle }) {
    if (n % rooms !== 0) throw new UsageError(`--n=${n} cannot be spread evenly over --rooms=${rooms}`);
    if (!/^(no|\d+x\d+(,\d+x\d+)*)$/.test(gentle))
      throw new UsageError(`--gentle=${gentle}: it takes 20x10,5x6`);
    checkOpenFiles(n);
  },

  async run(bench) {
    const all = await peersOf('fanout', bench.options);
    // Messages to many rooms do not fit between two looks at the log.
    const peers = all.filter(({ part }) => !part.fromLog || bench.options.rooms === 1);
    return { peers, runs: await bench.interleave(peers, (peer) => measure(bench, peer), summary) };
  },

  tables({ peers, runs, options }) {
    const limit = peers.find((peer) => peer.limit);
    const speed = peers.map((peer) => speedRow(peer, runs, limit, options));
    const waits = peers.map((peer) => waitRow(peer, runs)).filter((row) => Object.keys(row).length > 1);
    return [speed, waits].filter((rows) => rows.length > 0).map(markdownTable);
  },
};

/** Throws UsageError when a server and a load of `n` sockets each cannot have them all open. */
export function checkOpenFiles(n) {
  const limit = openFilesLimit();
  if (n + 200 > limit) {
    throw new UsageError(
      `--n=${n} takes more than the ${limit} open files of a process: raise it (ulimit -Hn)`,
    );
  }
}

async function measure(bench, { name, module = name, part }) {
  const { options } = bench;
  const server = await part.start(bench);
  try {
    return await bench.load('fanout.js', {
      ...options,
      peer: module,
      url: server.url,
      postUrl: server.postUrl,
      pid: server.pid,
      m: options.rooms > 1 ? options.m * 10 : options.m,
      gentle: readGentle(options.gentle),
    });
  } finally {
    await server.stop();
  }
}

/** `20x10,5x6`: 20 messages a second for 10 seconds, then 5 for 6. */
const readGentle = (text) =>
  text === 'no'
    ? []
    : text.split(',').map((part) => {
        const [rate, seconds] = part.split('x').map(Number);
        return { rate, seconds };
      });

/** Deliveries a second in each burst of a peer. */
const rates = (runs, peer) => burstsOf(runs, peer).map((burst) => burst.rate);

const runsOf = (runs, peer) => runs.filter((run) => run.peer === peer?.name && run.failed === undefined);
const burstsOf = (runs, peer) => runsOf(runs, peer).flatMap((run) => run.bursts);

function speedRow(peer, runs, limit, { rooms }) {
  const bursts = burstsOf(runs, peer);
  const mine = runsOf(runs, peer);
  const all = (read) => formatSpread(bursts.map(read));
  if (bursts.length === 0) return { peer: peer.title, 'deliveries/s': 'failed' };
  return {
    peer: peer.title,
    'deliveries/s': all((burst) => burst.rate),
    'of the limit': formatRatio(rates(runs, peer), rates(runs, limit)),
    'CPU s per million': all((burst) => burst.cpuPerMillion),
    'server busy': `${format(median(bursts.map((burst) => burst.rate * burst.cpuPerMillion)) / 1e4)} %`,
    ...(rooms > 1 && { 'messages/s': all((burst) => burst.messages / burst.seconds) }),
    'KiB a subscriber': formatSpread(mine.map((run) => run.memory.idle)),
    'after gc': formatSpread(mine.map((run) => run.memory.afterGc)),
    'bytes a delivery': format(median(bursts.map((burst) => burst.bytes))),
  };
}

function waitRow(peer, runs) {
  const gentle = runsOf(runs, peer).flatMap((run) => run.gentle);
  const row = { peer: peer.title };
  for (const rate of new Set(gentle.map((one) => one.rate))) {
    const mine = gentle.filter((one) => one.rate === rate);
    const pair = (p50, p99) =>
      `${format(median(mine.map((one) => one[p50])))} / ${formatSpread(mine.map((one) => one[p99]))}`;
    const overloaded = mine.some((one) => one.overloaded) ? ' overloaded' : '';
    row[`${rate}/s: each, p50 / p99 ms`] = pair('p50', 'p99') + overloaded;
    row[`${rate}/s: the last, p50 / p99 ms`] = pair('lastP50', 'lastP99');
  }
  return row;
}

function summary({ bursts, gentle, memory }) {
  const speed = bursts.map(({ rate, disturbed }) => format(rate) + (disturbed > 0.1 ? '~' : '')).join(' ');
  const waits = gentle.map((one) => `; ${one.rate}/s p99 ${format(one.p99)} ms`).join('');
  return `${speed} deliveries/s, ${format(memory.idle)} KiB a subscriber${waits}`;
}

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hashOfContent } from '../load/content.js';
import { UsageError } from '../lib/options.js';
import { peersOf } from '../lib/peers.js';
import { cpuSeconds, forgetPeak, peakKiB, residentKiB } from '../lib/processes.js';
import { format, formatRatio, formatSpread, markdownTable } from '../lib/statistics.js';

const MIB = 1024 * 1024;
const TOGETHER = 16;

/** A file that is in memory already, over the loopback: whole, and as sixteen ranges at once. */
export const download = {
  options: {
    mib: { default: '1024', help: 'MiB of the file' },
    rounds: { default: '4', help: 'times that it is fetched in one measurement' },
  },

  nameOf: ({ mib }) => `download${mib === 1024 ? '' : `-${mib}`}`,

  check({ mib }) {
    if (mib % TOGETHER !== 0) throw new UsageError(`--mib=${mib}: it takes a multiple of ${TOGETHER}`);
  },

  async run(bench) {
    const peers = await peersOf('download', bench.options);
    const right = hashOfContent(bench.options.mib);
    const runs = await bench.interleave(peers, (peer) => measure(bench, peer, right), summary);
    return { peers, runs };
  },

  tables({ peers, runs, options: { mib } }) {
    const limit = peers.find((peer) => peer.limit);
    return kindsOf(mib).map(({ kind, title }) => {
      const of = (peer) => runs.flatMap((run) => (run.peer === peer?.name && run[kind] ? [run[kind]] : []));
      const rates = (peer) => of(peer).map(({ rate }) => rate);
      return markdownTable(
        peers.map((peer) => ({
          [title]: peer.title,
          'MiB/s': formatSpread(rates(peer)),
          'of nginx': formatRatio(rates(peer), rates(limit)),
          'server CPU s a GiB': formatSpread(of(peer).map(({ cpu }) => cpu)),
          'grew by MiB': formatSpread(of(peer).map(({ grew }) => grew)),
        })),
      );
    });
  },
};

const kindsOf = (mib) => [
  { kind: 'whole', title: `a file of ${mib} MiB`, ranges: [undefined] },
  {
    kind: 'ranges',
    title: `its ${TOGETHER} ranges of ${mib / TOGETHER} MiB at once`,
    ranges: Array.from({ length: TOGETHER }, (_, index) => {
      const each = (mib / TOGETHER) * MIB;
      return `bytes=${index * each}-${(index + 1) * each - 1}`;
    }),
  },
];

async function measure(bench, { part }, right) {
  const { mib } = bench.options;
  const folder = join((await bench.sandbox()).directory, 'downloads');
  await mkdir(folder);
  try {
    const server = await part.start(bench, folder, mib);
    try {
      // What is fetched must be what was stored, and is in memory from now on.
      const hash = await bench.command(
        'sh',
        ['-c', `curl -fsS '${server.url}${server.path}' | sha256sum`],
        600_000,
      );
      if (!hash.startsWith(`${right} `)) throw new Error(`not the file that was stored: ${hash}`);
      await bench.command('sync', [], 120_000);
      const measured = {};
      for (const { kind, ranges } of kindsOf(mib)) {
        const requests = ranges.map((range) => ({
          path: server.path,
          headers: range === undefined ? {} : { range },
          bytes: (mib / ranges.length) * MIB,
        }));
        measured[kind] = await bench.undisturbed(() => measureOne(bench, server, requests));
      }
      return measured;
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measureOne(bench, { url, pid }, requests) {
  const { mib, rounds } = bench.options;
  const before = residentKiB(pid);
  forgetPeak(pid);
  const cpu = cpuSeconds(pid);
  const { seconds } = await bench.load('download.js', { url, requests, rounds });
  return {
    rate: (mib * rounds) / seconds,
    cpu: (cpuSeconds(pid) - cpu) / ((mib * rounds) / 1024),
    grew: (peakKiB(pid) - before) / 1024,
  };
}

const summary = ({ whole, ranges }) =>
  [whole, ranges].map(({ rate, cpu }) => `${format(rate)} MiB/s, ${format(cpu)} s a GiB`).join('; ');

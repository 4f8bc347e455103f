import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hashOfContent } from '../load/content.js';
import { UsageError } from '../lib/options.js';
import { peersOf } from '../lib/peers.js';
import { cpuSeconds, forgetPeak, peakKiB, residentKiB } from '../lib/processes.js';
import { format, formatRatio, formatSpread, markdownTable } from '../lib/statistics.js';

const MIB = 1024 * 1024;
const TOGETHER = 16;
/** What a server is sent before its memory is looked at, so that it has loaded what it needs, and then before its speed is, so that it has compiled it. */
const FIRST_MIB = 8;
const WARM_MIB = 256;
const DEFAULT_MIB = 1024;

/** Files over the loopback to the disk: one large one, and sixteen at once that are together as large. */
export const upload = {
  options: { mib: { default: String(DEFAULT_MIB), help: 'MiB of the large file' } },

  nameOf: ({ mib }) => `upload${mib === DEFAULT_MIB ? '' : `-${mib}`}`,

  check({ mib }) {
    if (mib % TOGETHER !== 0) throw new UsageError(`--mib=${mib}: it takes a multiple of ${TOGETHER}`);
  },

  async run(bench) {
    const peers = await peersOf('upload', bench.options);
    const missing = peers.flatMap(({ name: peer, title, part }) => {
      const why = part.missing?.();
      return why === undefined ? [] : [{ peer, missing: `${title} is left out: ${why}` }];
    });
    for (const { missing: text } of missing) console.error(text);
    const there = peers.filter(({ name }) => !missing.some(({ peer }) => peer === name));
    const runs = await bench.interleave(there, (peer) => measure(bench, peer), summary);
    return { peers, runs: [...missing, ...runs] };
  },

  tables({ peers, runs, options: { mib } }) {
    const named = (name) => peers.find((peer) => peer.name === name);
    const tables = kindsOf(mib).map(({ kind, title }) => {
      const of = (peer) => runs.flatMap((run) => (run.peer === peer?.name && run[kind] ? [run[kind]] : []));
      const rates = (peer) => of(peer).map(({ rate }) => rate);
      return markdownTable(
        peers.map((peer) => ({
          [title]: peer.title,
          'MiB/s': formatSpread(rates(peer)),
          'of the pipe': formatRatio(rates(peer), rates(named('pipe'))),
          'of the synced pipe': formatRatio(rates(peer), rates(named('pipe-fsync'))),
          'of FastAPI': formatRatio(rates(peer), rates(named('fastapi'))),
          'server CPU s a GiB': formatSpread(of(peer).map(({ cpu }) => cpu)),
          'grew by MiB': formatSpread(of(peer).map(({ grew }) => grew)),
        })),
      );
    });
    return [...tables, ...runs.flatMap(({ missing }) => missing ?? [])];
  },
};

const kindsOf = (mib) => [
  { kind: 'one', title: `one file of ${sizeText(mib)}`, count: 1, each: mib },
  {
    kind: 'many',
    title: `${TOGETHER} files of ${sizeText(mib / TOGETHER)} at once`,
    count: TOGETHER,
    each: mib / TOGETHER,
  },
];

const sizeText = (mib) => (mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`);

async function measure(bench, { part }) {
  const measured = {};
  for (const { kind, count, each } of kindsOf(bench.options.mib)) {
    measured[kind] = await bench.undisturbed(() => measureOne(bench, part, count, each));
  }
  return measured;
}

/** By a server of its own, which has nothing yet and knows nothing of what came before. */
async function measureOne(bench, part, count, each) {
  const folder = join((await bench.sandbox()).directory, 'uploads');
  await mkdir(folder);
  try {
    const server = await part.start(bench, folder);
    try {
      const requests = Array.from({ length: count }, () => part.request(server));
      await send(bench, server, requests.slice(0, 1), FIRST_MIB);
      const before = residentKiB(server.pid);
      forgetPeak(server.pid);
      await send(bench, server, requests.slice(0, 1), WARM_MIB);
      // Each begins with nothing left to write from before.
      await bench.command('sync', [], 120_000);
      const cpu = cpuSeconds(server.pid);
      const seconds = await send(bench, server, requests, each);
      const measured = {
        rate: (count * each) / seconds,
        cpu: (cpuSeconds(server.pid) - cpu) / ((count * each) / 1024),
        grew: (peakKiB(server.pid) - before) / 1024,
      };
      await check(bench, folder, count, each);
      return measured;
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The seconds from before the first byte is sent to the last answer. */
async function send(bench, { url }, requests, mib) {
  const { seconds, answers } = await bench.load('upload.js', { url, requests, mib });
  for (const answer of answers) {
    if (!answer.startsWith('HTTP/1.1 200') || answer.includes('"errors"')) {
      throw new Error(`the upload was refused: ${answer.slice(0, 300)}`);
    }
  }
  return seconds;
}

/** All that was sent must be there, byte for byte. */
async function check(bench, folder, count, mib) {
  const names = await readdir(folder, { recursive: true });
  const paths = names.map((name) => join(folder, name));
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  const stored = paths.filter((_, index) => sizes[index] === mib * MIB);
  const lines = (await bench.command('sha256sum', ['--', ...stored], 600_000)).trim().split('\n');
  const hashes = new Set(lines.map((line) => line.slice(0, 64)));
  const missing = Array.from({ length: count }, (_, file) => hashOfContent(mib, file)).filter(
    (hash) => !hashes.has(hash),
  );
  if (stored.length !== count || missing.length > 0) {
    throw new Error(
      `of ${count} files that were sent ${stored.length} are stored, ${missing.length} are not as they were sent`,
    );
  }
}

const summary = ({ one, many }) =>
  [one, many]
    .map(
      ({ rate, cpu, grew }) => `${format(rate)} MiB/s, ${format(cpu)} s a GiB, grew by ${format(grew)} MiB`,
    )
    .join('; ');

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { peersOf } from '../lib/peers.js';
import { writePictures } from '../lib/pictures.js';
import { cpuSeconds } from '../lib/processes.js';
import { format, formatRatio, formatSpread, markdownTable } from '../lib/statistics.js';

/** Pictures that are asked for first, and not measured: what makes them has started then, and loaded what it needs. */
const WARM = 6;
/** Times that each is asked for again, of a server that keeps what it has made. */
const KEPT_ROUNDS = 40;

const PHOTO = { width: 4000, height: 3000 };
const SMALL = { width: 1280, height: 960 };

/** What is made: the largest that a conversation shows, a thumbnail, and the least work, beside which all else weighs most. */
const KINDS = [
  {
    kind: 'shown',
    title: '12 megapixels to 640 × 480',
    of: PHOTO,
    variant: { width: 640, height: 640, fit: 'inside' },
    shown: { width: 640, height: 480 },
  },
  {
    kind: 'thumbnail',
    title: '12 megapixels to 320 × 320, cropped',
    of: PHOTO,
    variant: { width: 320, height: 320, fit: 'cover' },
    shown: { width: 320, height: 320 },
  },
  {
    kind: 'small',
    title: '1.2 megapixels to 320 × 320, cropped',
    of: SMALL,
    variant: { width: 320, height: 320, fit: 'cover' },
    shown: { width: 320, height: 320 },
  },
];

/** Pictures in another size: made when they are first asked for, and then, where they are kept, again. */
export const images = {
  options: {
    pictures: { default: '60', help: 'pictures, of each of which one is made' },
    connections: { default: '6', help: 'requests at a time' },
  },

  nameOf: () => 'images',

  async run(bench) {
    const peers = await peersOf('images', bench.options);
    const { directory } = await bench.sandbox();
    const pictures = join(directory, 'pictures');
    await mkdir(pictures);
    const names = new Map();
    for (const of of [PHOTO, SMALL])
      names.set(of, await writePictures(pictures, of, WARM + bench.options.pictures));
    const runs = await bench.interleave(peers, (peer) => measure(bench, peer, pictures, names), summary);
    return { peers, runs };
  },

  tables({ peers, runs }) {
    const limit = peers.find((peer) => peer.limit);
    return KINDS.map(({ kind, title }) => {
      const of = (peer, what) => runs.flatMap((run) => (run.peer === peer?.name && run[kind]?.[what]) || []);
      const rates = (answers) => answers.map(({ rate }) => rate);
      const row = (name, answers) => ({
        [title]: name,
        'variants/s': formatSpread(rates(answers)),
        'of sharp alone': formatRatio(rates(answers), rates(of(limit, 'made'))),
        'p50 ms': formatSpread(answers.map(({ p50 }) => p50)),
        'p99 ms': formatSpread(answers.map(({ p99 }) => p99)),
        'server CPU ms a variant': formatSpread(answers.map(({ cpuMs }) => cpuMs)),
      });
      return markdownTable(
        peers.flatMap((peer) => {
          const kept = of(peer, 'kept');
          return [
            row(peer.title, of(peer, 'made')),
            ...(kept.length > 0 ? [row(`${peer.title}, the same again`, kept)] : []),
          ];
        }),
      );
    });
  },
};

async function measure(bench, { part }, pictures, names) {
  const measured = {};
  for (const one of KINDS) {
    measured[one.kind] = await bench.undisturbed(() =>
      measureOne(bench, part, pictures, names.get(one.of), one),
    );
  }
  return measured;
}

/** By a server of its own, which has made nothing yet. */
async function measureOne(bench, part, pictures, names, { variant, shown }) {
  const { connections } = bench.options;
  const folder = join((await bench.sandbox()).directory, 'images');
  await mkdir(folder);
  try {
    const server = await part.start(bench, folder, pictures);
    try {
      const paths = await part.paths(server, pictures, names, variant);
      const askFor = async (from, to, rounds) => {
        const cpu = cpuSeconds(server.pid);
        const answers = await bench.load('images.js', {
          url: server.url,
          paths: paths.slice(from, to),
          connections,
          rounds,
          source: join(pictures, names[from]),
          variant,
          shown,
        });
        const count = (to - from) * rounds;
        return { ...answers, cpuMs: ((cpuSeconds(server.pid) - cpu) / count) * 1000 };
      };
      await askFor(0, WARM, 1);
      // Each begins with nothing left to write from before.
      await bench.command('sync', [], 120_000);
      const made = await askFor(WARM, paths.length, 1);
      if (!part.keeps) return { made };
      await askFor(WARM, paths.length, KEPT_ROUNDS);
      return { made, kept: await askFor(WARM, paths.length, KEPT_ROUNDS) };
    } finally {
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

const summary = (run) =>
  KINDS.map(({ kind, title }) => {
    const { made, kept } = run[kind];
    const again = kept === undefined ? '' : `, again ${format(kept.rate)}/s`;
    return `${title} ${format(made.rate)}/s${again}`;
  }).join('; ');

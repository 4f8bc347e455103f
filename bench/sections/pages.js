import { httpLoad } from '../lib/http-load.js';
import { UsageError } from '../lib/options.js';
import { peersOf } from '../lib/peers.js';
import { cpuSeconds } from '../lib/processes.js';
import { format, formatRatio, formatSpread, markdownTable } from '../lib/statistics.js';
import { makeTimeline, offsetsOf } from '../lib/timeline.js';

const SIZE = 50;
/** Until what is run all the time is compiled, for every peer alike. */
const WARM_SECONDS = 4;

/** A page of 50 messages out of very many, at the start, in the middle and at the end. */
export const pages = {
  options: {
    n: { default: '1000000', help: 'messages in the room' },
    seconds: { default: '10', help: 'time of each measurement' },
    connections: { default: '10', help: 'requests at a time' },
  },

  nameOf: ({ n }) => `pages${n === 1_000_000 ? '' : `-${n}`}`,

  check({ n }) {
    if (n % 200 !== 0 || n === 0)
      throw new UsageError(`--n=${n}: the middle is found by pages of 100, so it takes a multiple of 200`);
  },

  async run(bench) {
    const { n } = bench.options;
    const peers = await peersOf('pages', bench.options);
    const places = new Map();
    for (const root of new Set(peers.map(({ part }) => part.root))) {
      console.error(`writing ${format(n)} messages`);
      places.set(root, await makeTimeline(bench, n, root));
    }
    const runs = await bench.interleave(
      peers,
      (peer) => measure(bench, peer, places.get(peer.part.root)),
      summary,
    );
    return { peers, runs };
  },

  tables({ peers, runs, options }) {
    const limit = peers.find((peer) => peer.limit);
    const rates = (pages) => pages.map((page) => page.rate);
    return Object.keys(offsetsOf(options.n)).map((depth) => {
      const of = (peer) =>
        runs.flatMap((run) => (run.peer === peer?.name && run.pages ? [run.pages[depth]] : []));
      return markdownTable(
        peers.map((peer) => ({
          [`at the ${depth}`]: peer.title,
          'pages/s': formatSpread(rates(of(peer))),
          'of the limit': formatRatio(rates(of(peer)), rates(of(limit))),
          'p50 ms': formatSpread(of(peer).map((page) => page.p50)),
          'p99 ms': formatSpread(of(peer).map((page) => page.p99)),
          'server CPU ms a page': formatSpread(of(peer).map((page) => page.cpuMs)),
        })),
      );
    });
  },
};

async function measure(bench, { part }, place) {
  const { connections, seconds } = bench.options;
  const server = await part.start(bench, place);
  try {
    const pages = {};
    for (const [depth, offset] of Object.entries(offsetsOf(place.n))) {
      const request = await part.request(place, { depth, offset, url: server.url });
      const check = async () => checkPage(part.messagesOf(await once(server.url, request)), offset);
      await check();
      await httpLoad(bench, server.url, request, { connections, seconds: WARM_SECONDS });
      pages[depth] = await bench.undisturbed(async () => {
        const cpu = cpuSeconds(server.pid);
        const measured = await httpLoad(bench, server.url, request, { connections, seconds });
        return { ...measured, cpuMs: ((cpuSeconds(server.pid) - cpu) / seconds / measured.rate) * 1000 };
      });
      await check();
    }
    return { pages };
  } finally {
    await server.stop();
  }
}

async function once(url, { method, path, headers, body }) {
  const response = await fetch(url + path, { method, headers, body });
  const answer = await response.json();
  if (answer.errors !== undefined) throw new Error(JSON.stringify(answer.errors));
  return answer;
}

/** The rows that follow `offset`, with all that was asked for. */
function checkPage(messages, offset) {
  const right = messages.every(
    ({ id, body, createdAt, author }, index) =>
      id &&
      author?.id &&
      author.name?.startsWith('Author ') &&
      new Date(createdAt).getTime() === timeOf(offset + index + 1) &&
      body.startsWith(`message ${offset + index + 1} `),
  );
  if (!right || messages.length !== SIZE) {
    throw new Error(`not the ${SIZE} rows after ${offset}: ${JSON.stringify(messages).slice(0, 300)}`);
  }
}

const timeOf = (number) => Date.UTC(2024, 0, 1) + number * 7_000;

const summary = ({ pages }) =>
  Object.entries(pages)
    .map(([depth, { rate, p99 }]) => `${depth} ${format(rate)} pages/s, p99 ${format(p99)} ms`)
    .join('; ');

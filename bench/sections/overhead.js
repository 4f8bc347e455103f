import { httpLoad } from '../lib/http-load.js';
import { peersOf } from '../lib/peers.js';
import { cpuSeconds } from '../lib/processes.js';
import { format, formatRatio, formatSpread, markdownTable } from '../lib/statistics.js';

const WARM_SECONDS = 2;
const TITLES = { trivial: '{ __typename }', list: 'a list of 50 from memory' };

/** What a plain request costs: a POST of JSON that asks for next to nothing, and one for fifty objects that are in memory. */
export const overhead = {
  options: {
    seconds: { default: '10', help: 'time of each measurement' },
    connections: { default: '10', help: 'requests at a time' },
  },

  nameOf: () => 'overhead',

  async run(bench) {
    const peers = await peersOf('overhead', bench.options);
    const runs = await bench.interleave(peers, (peer) => measure(bench, peer), summary);
    return { peers, runs };
  },

  tables({ peers, runs }) {
    const limit = peers.find((peer) => peer.limit);
    const mercurius = peers.find((peer) => peer.name === 'mercurius');
    const rates = (answers) => answers.map((answer) => answer.rate);
    return Object.keys(TITLES).map((kind) => {
      const of = (peer) => runs.flatMap((run) => (run.peer === peer?.name && run[kind] ? [run[kind]] : []));
      return markdownTable(
        peers.map((peer) => ({
          [TITLES[kind]]: peer.title,
          'requests/s': formatSpread(rates(of(peer))),
          'of the limit': formatRatio(rates(of(peer)), rates(of(limit))),
          'of Mercurius': formatRatio(rates(of(peer)), rates(of(mercurius))),
          'p50 ms': formatSpread(of(peer).map((answer) => answer.p50)),
          'p99 ms': formatSpread(of(peer).map((answer) => answer.p99)),
          'server CPU µs a request': formatSpread(of(peer).map((answer) => answer.cpuUs)),
        })),
      );
    });
  },
};

async function measure(bench, { part }) {
  const { connections, seconds } = bench.options;
  const server = await part.start(bench);
  try {
    const measured = {};
    for (const [kind, query] of Object.entries(part.queries)) {
      const request = {
        method: 'POST',
        path: '/graphql',
        headers: { 'content-type': 'application/json', ...server.headers },
        body: JSON.stringify({ query }),
      };
      await check(server.url, request, kind);
      await httpLoad(bench, server.url, request, { connections, seconds: WARM_SECONDS });
      measured[kind] = await bench.undisturbed(async () => {
        const cpu = cpuSeconds(server.pid);
        const answers = await httpLoad(bench, server.url, request, { connections, seconds });
        return { ...answers, cpuUs: ((cpuSeconds(server.pid) - cpu) / seconds / answers.rate) * 1e6 };
      });
      await check(server.url, request, kind);
    }
    return measured;
  } finally {
    await server.stop();
  }
}

async function check(url, { method, path, headers, body }, kind) {
  const answer = await (await fetch(url + path, { method, headers, body })).json();
  const { data } = answer;
  const right =
    kind === 'trivial'
      ? data?.__typename === 'Query'
      : data?.messages?.length === 50 &&
        data.messages.every(
          ({ id, body, author, createdAt }) => id && body && author.id && author.name && createdAt,
        );
  if (!right) throw new Error(`not what was asked for: ${JSON.stringify(answer).slice(0, 300)}`);
}

const summary = ({ trivial, list }) =>
  `{ __typename } ${format(trivial.rate)}/s, list ${format(list.rate)}/s`;

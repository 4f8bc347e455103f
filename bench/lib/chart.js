import { format, median, spread } from './statistics.js';

const WIDTH = 800;
const LEFT = 210;
const RIGHT = 190;
const ROW = 40;
const TOP = 50;

/**
 * The fan-out as an SVG: a bar for each peer, as long as the median of its deliveries a second, a line from the slowest burst to the
 * fastest, and how it stands to the limit. Its greys are as far from white as from black, so that it is read on either.
 */
export function drawChart({ peers, runs, options }) {
  const bars = peers.flatMap((peer) => {
    // Its bursts are counted from the first delivery on and not from the first post: it stands in the table, not beside the others.
    if (peer.name === 'parley-log') return [];
    const rates = runs
      .flatMap((run) => (run.peer === peer.name ? (run.bursts ?? []) : []))
      .map((burst) => burst.rate);
    return rates.length === 0 ? [] : [{ ...peer, middle: median(rates), ends: spread(rates) }];
  });
  const limit = bars.find((bar) => bar.limit)?.middle;
  const longest = Math.max(...bars.map(({ ends }) => ends[1]));
  const x = (rate) => LEFT + (rate / longest) * (WIDTH - LEFT - RIGHT);
  const height = TOP + bars.length * ROW + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Deliveries a second to ${options.n} subscribers">
<style>
  text { font: 14px system-ui, sans-serif; fill: #797979 }
  .title, .own { font-weight: 600 }
  .bar { fill: #797979; fill-opacity: 0.4 }
  .limit { fill: none; stroke: #797979 }
  .own.bar { fill: #2f81f7; fill-opacity: 0.7 }
  .ends { stroke: #797979; stroke-width: 2 }
</style>
<text class="title" x="10" y="24">Deliveries a second to ${format(options.n)} subscribers, and as a part of the limit</text>
${bars.map((bar, index) => drawBar(bar, TOP + index * ROW, x, limit)).join('\n')}
</svg>
`;
}

function drawBar({ name, title, limit: isLimit, middle, ends }, top, x, limit) {
  const kind = isLimit ? 'limit' : name.startsWith('parley') ? 'own' : '';
  const [low, high] = ends.map(x);
  const axis = top + 13;
  const value = `${format(middle)}${limit === undefined ? '' : ` · ${format(middle / limit)}×`}`;
  return [
    `<text class="${kind === 'own' ? 'own' : ''}" x="${LEFT - 10}" y="${top + 18}" text-anchor="end">${escape(title)}</text>`,
    `<rect class="${kind} bar" x="${LEFT}" y="${top}" width="${round(x(middle) - LEFT)}" height="26" rx="2"/>`,
    `<path class="ends" fill="none" d="M${round(low)} ${axis}H${round(high)}M${round(low)} ${axis - 5}v10M${round(high)} ${axis - 5}v10"/>`,
    `<text x="${round(high) + 8}" y="${top + 18}">${value}</text>`,
  ].join('\n');
}

const round = (value) => Math.round(value * 10) / 10;

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

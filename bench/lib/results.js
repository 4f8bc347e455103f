import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import prettier from 'prettier';
import { drawChart } from './chart.js';
import { UsageError } from './options.js';
import { HERE, ROOT } from './paths.js';

const RESULTS = join(HERE, 'results');
const DOCS = join(ROOT, 'docs');
const PAGE = join(DOCS, 'performance.md');

/** Keeps what was measured; answers where. */
export async function save(outcome) {
  await mkdir(RESULTS, { recursive: true });
  const file = join(RESULTS, `${outcome.name}-${outcome.measured.replaceAll(/[:.]/g, '-')}.json`);
  await writeFile(file, JSON.stringify(outcome, null, 1));
  return file;
}

/** The tables of an outcome with what they were measured by and on: what the page shows. */
export function report(outcome, tables) {
  return [...tables, footnote(outcome)].join('\n\n');
}

/** The one outcome that is drawn as well. */
const DRAWN = 'fanout';

/** Throws UsageError when the page has no place for an outcome of this name: before hours were spent on it. */
export async function checkPlace(name) {
  if (!placeOf(name).test(await readFile(PAGE, 'utf8'))) {
    throw new UsageError(`docs/performance.md has no place for this: <!-- ${name} --> and <!-- /${name} -->`);
  }
}

/** Puts an outcome into docs/performance: its numbers as JSON, its tables into their place on the page, and the chart. */
export async function publish(outcome, tables) {
  const { name } = outcome;
  await mkdir(join(DOCS, 'performance'), { recursive: true });
  await writeFormatted(join(DOCS, 'performance', `${name}.json`), JSON.stringify(outcome));
  if (name === DRAWN) await writeFile(join(DOCS, 'performance', `${name}.svg`), drawChart(outcome));
  const chart = name === DRAWN ? [`![The servers side by side](performance/${name}.svg)`] : [];
  const shown = report(outcome, [...chart, ...tables]);
  const page = await readFile(PAGE, 'utf8');
  const filled = page.replace(placeOf(name), (_all, open, close) => `${open}\n\n${shown}\n\n${close}`);
  await writeFormatted(PAGE, filled);
}

const placeOf = (name) => new RegExp(`(<!-- ${name} -->)[\\s\\S]*(<!-- /${name} -->)`);

async function writeFormatted(file, text) {
  const config = await prettier.resolveConfig(file);
  await writeFile(file, await prettier.format(text, { ...config, filepath: file }));
}

function footnote({ command, measured, commit, machine, versions }) {
  const { cpu, cores, memoryGiB, os, node, postgres, disk } = machine;
  const peers = Object.entries(versions).map(([name, version]) => `, ${name} ${version}`);
  return [
    `\`${command}\`, ${measured.slice(0, 10)}, Parley at ${commit}${peers.join('')}.`,
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}, Node ${node}, Postgres ${postgres} on ${disk}.`,
  ].join('\n');
}

import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startParley } from '../support/app.js';
import { signUp } from '../support/client.js';
import { Scrape } from '../support/metrics.js';

const fileOf = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

interface Row {
  readonly type: string;
  readonly labels: readonly string[];
}

/** The table of docs/operations.md. */
const table = new Map<string, Row>(
  [
    ...((await fileOf('docs/operations.md')).split(/^<!-- \/?metrics -->$/m)[1] ?? '').matchAll(
      /^\| `(parley_\w+)` *\| (\w+) *\| (.*?) *\|/gm,
    ),
  ].map(([, name = '', type = '', labels = '']) => [
    name,
    { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label) },
  ]),
);

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const { panels } = JSON.parse(await fileOf('deploy/grafana/parley.json')) as { panels: Panel[] };
const queries = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);

let scrape: Scrape;
let app: Awaited<ReturnType<typeof startParley>>;

beforeAll(async () => {
  app = await startParley('embedded', { METRICS_PORT: '0' });
  await signUp(app.url);
  scrape = await Scrape.of(app.metricsUrl);
});
afterAll(() => app[Symbol.asyncDispose]());

describe('The table of metrics in docs/operations.md', () => {
  test('has every metric of a running server, and no other', () => {
    const own = [...scrape.names].filter((name) => name.startsWith('parley_'));
    expect([...table.keys()].sort()).toEqual(own.sort());
  });

  test.each([...table])('tells the type and the labels of %s', (name, { type, labels }) => {
    expect(scrape.text).toContain(`# TYPE ${name} ${type}\n`);
    const series = scrape.seriesOf(type === 'histogram' ? `${name}_count` : name);
    expect(series.length).toBeGreaterThan(0);
    for (const one of series)
      expect([...one.matchAll(/(\w+)="/g)].map(([, label]) => label).sort()).toEqual([...labels].sort());
  });
});

describe('The dashboard', () => {
  test('asks for something in every panel, of the Prometheus that is picked', async () => {
    expect(queries.length).toBeGreaterThan(20);
    expect(new Set((await fileOf('deploy/grafana/parley.json')).match(/"uid": "[^"]+"/g))).toEqual(
      new Set(['"uid": "${datasource}"', '"uid": "parley"']),
    );
  });

  test.each(queries)('asks a running server for what it has: %s, %s', (_title, expr) => {
    const names = [...expr.matchAll(/\b((?:parley|nodejs|process)_\w+)\{/g)].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const metric = scrape.names.has(name) ? name : name.replace(/_(count|sum|bucket)$/, '');
      expect(scrape.names).toContain(metric);
      expect(scrape.seriesOf(name).length).toBeGreaterThan(0);
      const known = ['instance', 'le', ...(table.get(metric)?.labels ?? [])];
      const by = [...expr.matchAll(/by \(([^)]+)\)/g)].flatMap(([, list = '']) => list.split(', '));
      const matched = [...expr.matchAll(/(\w+)(?:=~|!=|=)"/g)].map(([, label = '']) => label);
      expect(known).toEqual(expect.arrayContaining([...by, ...matched]));
    }
  });
});

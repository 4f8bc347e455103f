/** One scrape: each series with its labels as they are written, and its value. */
export class Scrape {
  private readonly series = new Map<string, number>();
  /** Names of the metrics that are described, whether they have a value yet or not. */
  readonly names = new Set<string>();

  constructor(readonly text: string) {
    for (const line of text.split('\n')) {
      const described = /^# TYPE (\S+)/.exec(line)?.[1];
      if (described !== undefined) this.names.add(described);
      const [, name, value] = /^([^#\s][^\s{]*(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      if (name !== undefined) this.series.set(name, Number(value));
    }
  }

  static async of(url: string | undefined): Promise<Scrape> {
    const response = await fetch(url ?? 'no metrics are served');
    if (!response.ok) throw new Error(`the scrape was answered ${response.status}`);
    return new Scrape(await response.text());
  }

  /** The value of one series, such as `parley_errors_total{code="FORBIDDEN"}`; undefined where there is none. */
  get(series: string): number | undefined {
    return this.series.get(series);
  }

  /** By how much a series has grown since an earlier scrape. */
  grown(series: string, since: Scrape): number {
    return (this.get(series) ?? 0) - (since.get(series) ?? 0);
  }

  /** Every series of a metric: `parley_groups`, and those of `parley_groups{…}`. */
  seriesOf(name: string): string[] {
    return [...this.series.keys()].filter((series) => series.split('{', 1)[0] === name);
  }
}

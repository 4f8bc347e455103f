import pg from 'pg';

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

type Query = (this: pg.Client, ...args: unknown[]) => unknown;

/** What each new connection is told, and the look at the database's clock: they come whenever they are due, whatever is asked. */
const OF_THE_CONNECTION = /^set statement_timeout|clock_timestamp\(\)\) \* 1000/;

/** Runs `work` and answers what the servers of this process asked their databases meanwhile, in order. */
export async function statementsOf(work: () => Promise<unknown>): Promise<Statement[]> {
  const statements: Statement[] = [];
  const prototype = pg.Client.prototype as unknown as { query: Query };
  const original = prototype.query;
  prototype.query = function (...args) {
    const [query, values] = args;
    // A prepared one comes as an object.
    const { text, values: own } =
      typeof query === 'string' ? { text: query, values } : (query as pg.QueryConfig);
    if (!OF_THE_CONNECTION.test(text))
      statements.push({ text, values: (own as unknown[] | undefined) ?? [] });
    return original.apply(this, args);
  };
  try {
    await work();
  } finally {
    prototype.query = original;
  }
  return statements;
}

import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type pg from 'pg';
import { isOutage } from './outage.js';
import type { Pipeline } from './pipeline.js';
import { preparedAs } from './statement.js';

/** A pool for Kysely, which sends quick statements (statement.ts) outside of transactions by `pipelines`, and all others by `pool`. */
export class PipeliningPool implements PostgresPool {
  constructor(
    private readonly pool: pg.Pool,
    private readonly pipelines: readonly Pipeline[],
  ) {}

  connect(): Promise<PostgresPoolClient> {
    // Kysely's type has cursors too, which nothing here asks for.
    const client: unknown = new LateClient(this.pool, this.pipelines);
    return Promise.resolve(client as PostgresPoolClient);
  }

  async end(): Promise<void> {
    await Promise.all([this.pool.end(), ...this.pipelines.map((pipeline) => pipeline.end())]);
  }
}

/** Has a connection of the pool once it needs one to itself: for a transaction, or a statement that is not quick. */
class LateClient {
  private own: pg.PoolClient | undefined;
  private isStale = false;

  constructor(
    private readonly pool: pg.Pool,
    private readonly pipelines: readonly Pipeline[],
  ) {}

  async query(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const prepared = preparedAs(text);
    if (prepared?.isQuick === true && this.own === undefined) {
      const answer = await this.shared({ name: prepared.name, text, values: [...values] });
      if (answer !== undefined) return answer;
    }
    this.own ??= await this.pool.connect();
    try {
      return await this.own.query(text, [...values]);
    } catch (error) {
      this.isStale ||= isStale(error);
      throw error;
    }
  }

  /** One whose prepared statements are out of date is closed. */
  release(): void {
    this.own?.release(this.isStale);
  }

  /** Undefined where no pipeline has time for it, or one was lost under it: what is quick only reads. */
  private async shared(statement: pg.QueryConfig): Promise<pg.QueryResult | undefined> {
    const pipeline = leastLoaded(this.pipelines);
    try {
      return await pipeline?.query(statement);
    } catch (error) {
      if (isStale(error)) pipeline?.renew();
      else if (!isOutage(error)) throw error;
      return undefined;
    }
  }
}

/** Whether the type of a column was changed since the statement was prepared. */
const isStale = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '0A000';

/** Undefined where none has time. A further one is connected to only once those before it have something to do. */
function leastLoaded(pipelines: readonly Pipeline[]): Pipeline | undefined {
  let best: Pipeline | undefined;
  let least = Infinity;
  for (const pipeline of pipelines) {
    const load = pipeline.load();
    if (load < least) [best, least] = [pipeline, load];
    if (load === 0 || !pipeline.isConnected) break;
  }
  return best;
}

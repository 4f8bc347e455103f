import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type pg from 'pg';
import type { Permits } from '../async/permits.js';
import { mayPass } from './outage.js';
import type { Pipeline } from './pipeline.js';
import { preparedAs } from './statement.js';

/**
 * A pool for Kysely, which sends quick statements (statement.ts) outside of transactions by `pipelines`, and all others by `pool`.
 * Whoever writes takes one of `writes` first: those that wait for locks leave connections to the others. `renew` is called once a
 * connection has turned out to lead to a standby.
 */
export class PipeliningPool implements PostgresPool {
  constructor(
    private readonly pool: pg.Pool,
    private readonly pipelines: readonly Pipeline[],
    private readonly writes: Permits | undefined,
    private readonly renew: () => void,
  ) {}

  connect(): Promise<PostgresPoolClient> {
    // Kysely's type has cursors too, which nothing here asks for.
    const client: unknown = new LateClient(this.pool, this.pipelines, this.writes, this.renew);
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
  private mayWrite = false;

  constructor(
    private readonly pool: pg.Pool,
    private readonly pipelines: readonly Pipeline[],
    private readonly writes: Permits | undefined,
    private readonly renew: () => void,
  ) {}

  async query(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const prepared = preparedAs(text);
    if (prepared?.isQuick === true && this.own === undefined) {
      const answer = await this.shared({ name: prepared.name, text, values: [...values] });
      if (answer !== undefined) return answer;
    }
    if (!this.mayWrite && !isRead(text)) await this.mayWriteFromNow();
    this.own ??= await this.pool.connect();
    try {
      return await this.own.query(text, [...values]);
    } catch (error) {
      this.isStale ||= isStale(error);
      if (isOfStandby(error)) {
        this.isStale = true;
        this.renew();
      }
      throw error;
    }
  }

  release(): void {
    this.giveBack();
    if (this.mayWrite) this.writes?.give();
    this.mayWrite = false;
  }

  /** Nobody waits for the right to write with a connection in hand: those who have the right may be waiting for that. */
  private async mayWriteFromNow(): Promise<void> {
    this.giveBack();
    await this.writes?.take();
    this.mayWrite = true;
  }

  /** One that is of no use any more is closed. */
  private giveBack(): void {
    this.own?.release(this.isStale);
    this.own = undefined;
    this.isStale = false;
  }

  /** Undefined where no pipeline has time for it, or one was lost under it: what is quick only reads. */
  private async shared(statement: pg.QueryConfig): Promise<pg.QueryResult | undefined> {
    const pipeline = leastLoaded(this.pipelines);
    try {
      return await pipeline?.query(statement);
    } catch (error) {
      if (isStale(error)) pipeline?.renew();
      else if (!mayPass(error)) throw error;
      return undefined;
    }
  }
}

/** Whether the type of a column was changed since the statement was prepared. */
const isStale = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '0A000';

/** Whether the server takes no writes: a standby, or a primary that was demoted. */
const isOfStandby = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '25006';

const WRITES = /\b(?:insert into|update|delete from)\b/i;

/** Whether a statement outside of a transaction takes no lock that others may have for long. */
const isRead = (text: string): boolean =>
  /^\s*select\b/i.test(text) || (/^\s*with\b/i.test(text) && !WRITES.test(text));

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

import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type pg from 'pg';

/** Ends with the transaction, so no session keeps it, whoever uses that next. */
const UNLIMITED = 'begin; set local statement_timeout = 0';

/**
 * A pool for Kysely, for what no client waits for: migrations, jobs, housekeeping. Its statements may take as long as they need, where the
 * connections of `pool` end those that take too long for a client (dialect.ts).
 */
export class BackgroundPool implements PostgresPool {
  constructor(private readonly pool: pg.Pool) {}

  async connect(): Promise<PostgresPoolClient> {
    // Kysely's type has cursors too, which nothing here asks for.
    const client: unknown = new UnlimitedClient(await this.pool.connect());
    return client as PostgresPoolClient;
  }

  /** The pool is closed by whoever opened it. */
  end(): Promise<void> {
    return Promise.resolve();
  }
}

/** Runs each statement in a transaction: the one that Kysely begins, or else one of its own. */
class UnlimitedClient {
  private isInTransaction = false;

  constructor(private readonly client: pg.PoolClient) {}

  async query(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const { client } = this;
    if (text === 'begin') {
      this.isInTransaction = true;
      const begun: unknown = await client.query(UNLIMITED);
      // An answer for each of the two.
      const [answer] = begun as [pg.QueryResult];
      return answer;
    }
    if (this.isInTransaction) {
      if (text === 'commit' || text === 'rollback') this.isInTransaction = false;
      return client.query(text, [...values]);
    }
    await client.query(UNLIMITED);
    try {
      const answer = await client.query(text, [...values]);
      await client.query('commit');
      return answer;
    } catch (error) {
      await client.query('rollback').catch(() => undefined);
      throw error;
    }
  }

  release(): void {
    this.client.release();
  }
}

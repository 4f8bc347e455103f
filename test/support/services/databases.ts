import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** A database of one's own on the server of the tests. It is dropped when it is disposed of, whoever is connected. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
}

/** Brings the empty database at `url` to the newest schema. Its connections must be closed when it settles. */
export type Migrate = (url: string) => Promise<void>;

/**
 * Makes a database: empty, or with `migrate` a copy of a template, which the first caller of the run makes and which is
 * migrated only once.
 */
export async function makeDatabase(adminUrl: string, run: string, migrate?: Migrate): Promise<TestDatabase> {
  const name = `${prefixOf(run)}${randomBytes(6).toString('hex')}`;
  await withClient(adminUrl, async (client) => {
    const template =
      migrate === undefined ? 'template1' : await ensureTemplate(client, adminUrl, run, migrate);
    await client.query(`create database ${name} template ${template}`);
  });
  return {
    name,
    url: addressOf(adminUrl, name),
    [Symbol.asyncDispose]: () => withClient(adminUrl, (client) => dropDatabase(client, name)),
  };
}

/** Drops what a run has left on a server that goes on. */
export async function dropDatabases(adminUrl: string, run: string): Promise<void> {
  await withClient(adminUrl, async (client) => {
    const found = await client.query<{ datname: string }>(
      'select datname from pg_database where starts_with(datname, $1)',
      [prefixOf(run)],
    );
    for (const { datname } of found.rows) await dropDatabase(client, datname);
  });
}

/** One connection for `work`, with a deadline on every statement. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    query_timeout: 60_000,
  });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function ensureTemplate(
  client: pg.Client,
  adminUrl: string,
  run: string,
  migrate: Migrate,
): Promise<string> {
  const template = `${prefixOf(run)}template`;
  // The other workers of the run wait here, and then find it made. The lock is given back with the connection at the latest.
  const lock = [`parley test template ${run}`];
  await client.query('select pg_advisory_lock(hashtextextended($1, 0))', lock);
  try {
    const found = await client.query('select from pg_database where datname = $1', [template]);
    if (found.rowCount === 1) return template;
    // Under another name until it is whole, so that a failed migration is not taken for a template.
    const unfinished = `${template}_unfinished`;
    await dropDatabase(client, unfinished);
    await client.query(`create database ${unfinished}`);
    await migrate(addressOf(adminUrl, unfinished));
    await client.query(`alter database ${unfinished} rename to ${template}`);
    return template;
  } finally {
    await client.query('select pg_advisory_unlock(hashtextextended($1, 0))', lock);
  }
}

async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  await client.query(`drop database if exists ${name} with (force)`);
}

const prefixOf = (run: string): string => `parley_test_${run}_`;

function addressOf(adminUrl: string, database: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.href;
}

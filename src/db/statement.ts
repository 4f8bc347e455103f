import { CompiledQuery } from 'kysely';
import type { Database, Trx } from './database.js';

const names = new Map<string, string>();

/** The name under which connections prepare a statement with this text; undefined for every other. */
export const preparedName = (text: string): string | undefined => names.get(text);

/**
 * A statement that runs all the time, written out: nothing builds or compiles it anew, and each connection to a Postgres server
 * parses and plans it once (dialect.ts). Its text never varies: many values go in as one array. It names the columns that it
 * answers, because a prepared `select *` fails once a migration has added one.
 */
export function statement<Row>(
  name: string,
  text: string,
): (db: Database | Trx, parameters: unknown[]) => Promise<Row[]> {
  names.set(text, name);
  return async (db, parameters) => (await db.executeQuery<Row>(CompiledQuery.raw(text, parameters))).rows;
}

import { CompiledQuery } from 'kysely';
import type { Database, Trx } from './database.js';

/** How connections run a statement whose text is known. */
export interface Prepared {
  /** Under which they prepare it. */
  readonly name: string;
  /** Whether it may share a connection with others (pipeline.ts). */
  readonly isQuick: boolean;
}

const known = new Map<string, Prepared>();

/** That of the statement with this text; undefined for every other. */
export const preparedAs = (text: string): Prepared | undefined => known.get(text);

type Run<Row> = (db: Database | Trx, parameters: unknown[]) => Promise<Row[]>;

/**
 * A statement that runs all the time, written out: nothing builds or compiles it anew, and each connection to a Postgres server
 * parses and plans it once (dialect.ts). Its text never varies: many values go in as one array. It names the columns that it
 * answers, because a prepared `select *` fails once a migration has added one.
 */
export const statement = <Row>(name: string, text: string): Run<Row> => runOf(text, { name, isQuick: false });

/** The same for one that reads a few rows by an index, and so may be sent by a connection that others share and have to wait for. */
export const quickRead = <Row>(name: string, text: string): Run<Row> => runOf(text, { name, isQuick: true });

function runOf<Row>(text: string, prepared: Prepared): Run<Row> {
  known.set(text, prepared);
  return async (db, parameters) => (await db.executeQuery<Row>(CompiledQuery.raw(text, parameters))).rows;
}

import type pg from 'pg';
import { inTime } from '../async/timeout.js';
import { settingsOf, type StatementLimits } from './limits.js';

/**
 * What values, texts and transactions of a session are like, whatever the server, the database and the role say. Whether it may write is left to
 * them: whoever makes a database read-only means it.
 */
export const SETTINGS: Readonly<Record<string, string>> = {
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  bytea_output: 'hex',
  extra_float_digits: '1',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
};

/**
 * Makes a new connection's session what the program takes for granted, with these limits, within `ms` milliseconds. In one message, and not
 * at the start of the connection, for poolers refuse most parameters there. Nothing else may be sent before it resolves.
 */
export async function prepareSession(
  client: pg.ClientBase,
  limits: StatementLimits,
  ms: number,
): Promise<void> {
  // SET, unlike set_config in a SELECT, takes no snapshot, which a transaction that is deferrable would have to wait for.
  const settings = Object.entries({ ...settingsOf(limits), ...SETTINGS })
    .map(([name, value]) => `set ${name} = '${value}'`)
    .join('; ');
  await inTime(client.query(settings), ms, 'a new connection to the database did not answer');
}

import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

/** As autovacuum decides: 50 rows and a fifth of the table dead, or a tenth of it changed since it was analysed. */
const DUE = `
  select quote_ident(schemaname) || '.' || quote_ident(relname) as name
  from pg_stat_user_tables
  where n_dead_tup > 50 + 0.2 * n_live_tup
     or n_ins_since_vacuum > 1000 + 0.2 * n_live_tup
     or n_mod_since_analyze > 50 + 0.1 * n_live_tup
  order by 1`;

/**
 * Does autovacuum's work, which an embedded Postgres has nobody for: every `intervalMs` milliseconds (at most 2^31 - 1)
 * `VACUUM (ANALYZE)` of the tables that have changed enough, one statement a table. Does not keep the process alive.
 * A failure is told to `onError` and tried again at the next turn.
 * Disposing waits for the statement that is running; do it before the pool ends.
 */
export function startVacuum(
  pool: pg.Pool,
  intervalMs: number,
  onError: (error: unknown) => void = () => undefined,
): AsyncDisposable {
  const stop = new AbortController();
  const work = loop();

  async function loop(): Promise<void> {
    while (await elapsed(intervalMs, stop.signal)) {
      try {
        // Postgres counts lazily; what it has not yet counted would wait for the next turn.
        await pool.query('select pg_stat_force_next_flush()');
        const { rows } = await pool.query<{ name: string }>(DUE);
        for (const { name } of rows) {
          if (stop.signal.aborted) return;
          await pool.query(`vacuum (analyze) ${name}`);
        }
      } catch (error) {
        onError(error);
      }
    }
  }

  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await work;
    },
  };
}

/** True after `ms` milliseconds, false as soon as `signal` is aborted. */
async function elapsed(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}

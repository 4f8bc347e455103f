import { sql } from 'kysely';
import { nameKey } from '../names.js';
import type { Logger } from '../observability/logger.js';
import type { Clock } from './clock.js';
import type { Database } from './database.js';

const DAY_MS = 86_400_000;
/** Milliseconds between two rounds. */
const INTERVAL_MS = 10 * 60_000;
/** Rows a statement deletes: few enough that nobody waits for it. */
const BATCH = 1000;
/** How long an idempotency key is kept. */
const KEY_HOURS = 48;
/** How long a spent refresh token is known, so that its reuse ends the family; the newest of a sign-in for as long as that. */
const SPENT_DAYS = 7;
/** How long it is known where an account was used from. */
const ADDRESS_DAYS = 90;
/** How long it is known what became of an upload over several requests. */
const UPLOAD_DAYS = 7;

/** So many milliseconds before the statement, by the database's clock. */
const ago = (ms: number) => sql`(now() - ${`${String(ms)} milliseconds`}::interval)`;

/**
 * Deletes what has had its time, by small batches in the background: events beyond the retention (messages and files stay),
 * idempotency keys, sessions that have run out, refresh tokens long spent, known addresses, uploads that are over. Several processes may do it at once.
 * The database's clock says what is old, and nothing is deleted while that is in doubt (clock.ts). Before that, rooms get their keys.
 */
export class Housekeeping {
  private readonly timer: NodeJS.Timeout;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly retentionMs: number,
    private readonly logger: Logger,
  ) {
    this.timer = setInterval(() => this.begin(), INTERVAL_MS);
    this.timer.unref();
    this.begin();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.running;
  }

  private begin(): void {
    this.running ??= this.round();
  }

  /** Deletes all that is due now. */
  private async sweep(): Promise<void> {
    const old = ago(this.retentionMs);
    // While a room's old events go there may be holes among them: whoever reads there is told CURSOR_EXPIRED either way. The last
    // of them stays, for its cursor is good as long as all that came after it is there.
    const next = sql`(select next.at from room_events next where next.room_id = room_events.room_id
      and next.seq > room_events.seq order by next.seq limit 1)`;
    await this.deleteAll('room_events', sql`at < ${old} and ${next} < ${old}`);
    await this.deleteAll('idempotency_keys', sql`created_at < ${ago(KEY_HOURS * 3_600_000)}`);
    // The newest may come again as long as its successor was not used, after however long (accounts.service.ts).
    await this.deleteAll(
      'refresh_tokens',
      sql`used_at < ${ago(SPENT_DAYS * DAY_MS)} and exists (select from refresh_tokens later
        where later.session_id = refresh_tokens.session_id and later.used_at > refresh_tokens.used_at)`,
    );
    await this.deleteAll(
      'upload_sessions',
      sql`expires_at < ${ago(UPLOAD_DAYS * DAY_MS)} and state <> 'PROCESSING'`,
    );
    await this.deleteAll('known_addresses', sql`seen_at < ${ago(ADDRESS_DAYS * DAY_MS)}`);
    await this.deleteAll('sessions', sql`expires_at < ${ago(0)}`);
  }

  private async round(): Promise<void> {
    try {
      await this.clock.mark();
      await this.keyRooms();
      await this.sweep();
    } catch (err) {
      this.logger.warn({ err }, 'housekeeping failed, it is tried again');
    } finally {
      this.running = undefined;
    }
  }

  /** Gives their keys to the rooms that were made before there were any, or by a program from then that still runs. */
  private async keyRooms(): Promise<void> {
    while (!this.stopped) {
      const { rows } = await sql<{ id: string; name: string }>`
        select id, name from rooms where name_key is null order by id limit ${BATCH}`.execute(this.db);
      const ids = rows.map(({ id }) => id);
      const keys = rows.map(({ name }) => nameKey(name));
      // Those in use have their turn in a later round: neither they nor another process that does the same are waited for.
      const { numAffectedRows = 0n } = await sql`
        update rooms set name_key = new.key
        from unnest(${ids}::uuid[], ${keys}::text[]) as new (id, key)
        where rooms.id = new.id and rooms.id = any (array (
          select id from rooms where id = any(${ids}::uuid[]) and name_key is null for no key update skip locked
        ))`.execute(this.db);
      if (numAffectedRows < BATCH) return;
    }
  }

  private async deleteAll(table: string, due: ReturnType<typeof sql>): Promise<void> {
    const name = sql.table(table);
    // Asked before each batch: a clock may jump while there is much to delete.
    while (!this.stopped && (await this.clock.isTrusted())) {
      const { numAffectedRows = 0n } = await sql`
        delete from ${name}
        where ctid = any (array (select ctid from ${name} where ${due} limit ${BATCH}))`.execute(this.db);
      if (numAffectedRows < BATCH) return;
    }
  }
}

import { sql } from 'kysely';
import { nameKey } from '../names.js';
import type { Logger } from '../observability/logger.js';
import type { Clock } from './clock.js';
import type { Database } from './database.js';
import { trimLogs } from './log-trimming.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
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
const ago = (ms: number) => sql<Date>`(now() - ${`${String(ms)} milliseconds`}::interval)`;

/**
 * Deletes what has had its time, by small batches in the background: events beyond the retention (messages and files stay),
 * idempotency keys, sessions that have run out, refresh tokens long spent, known addresses, uploads that are over, and what is left
 * of deleted files. Several processes may do it at once. The database's clock says what is old, and nothing is deleted while that is
 * in doubt (clock.ts). Before that, rooms get their keys.
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
    // While a room's old events go there may be holes among them: who reads there gets CURSOR_EXPIRED either way.
    await trimLogs(this.db, ago(this.retentionMs), () => this.mayGoOn());
    await this.deleteAll('idempotency_keys', sql`created_at < ${ago(KEY_HOURS * HOUR_MS)}`);
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
    // The log names a deleted file, and so does the outcome of the call that uploaded it. Nothing does once both are gone.
    const forgotten = sql`deleted_at < ${ago(Math.max(this.retentionMs, KEY_HOURS * HOUR_MS))}`;
    await this.deleteAll('message_files', sql`file_id in (select id from files where ${forgotten})`);
    await this.deleteAll(
      'files',
      sql`${forgotten} and not exists (select from upload_sessions where file_id = files.id)
        and not exists (select from message_files where file_id = files.id)`,
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

  /** Asked before each batch: a clock may jump while there is much to delete. */
  private async mayGoOn(): Promise<boolean> {
    return !this.stopped && (await this.clock.isTrusted());
  }

  /** Gives their keys, and names in NFC, to rooms made before there were any, or by a program from then that still runs. */
  private async keyRooms(): Promise<void> {
    while (!this.stopped) {
      const { rows } = await sql<{ id: string; name: string; topic: string | null }>`
        select id, name, topic from rooms where name_key is null order by id limit ${BATCH}`.execute(this.db);
      const ids = rows.map(({ id }) => id);
      const was = rows.map(({ name }) => name);
      const names = was.map((name) => name.normalize('NFC'));
      const topics = rows.map(({ topic }) => topic?.normalize('NFC') ?? null);
      const keys = names.map(nameKey);
      // Those in use have their turn in a later round: neither they nor another process that does the same are waited for.
      const { numAffectedRows = 0n } = await sql`
        update rooms set name = new.name, topic = new.topic, name_key = new.key
        from unnest(${ids}::uuid[], ${was}::text[], ${names}::text[], ${topics}::text[], ${keys}::text[])
          as new (id, was, name, topic, key)
        where rooms.id = new.id and rooms.name = new.was and rooms.id = any (array (
          select id from rooms where id = any(${ids}::uuid[]) and name_key is null for no key update skip locked
        ))`.execute(this.db);
      if (numAffectedRows < BATCH) return;
    }
  }

  private async deleteAll(table: string, due: ReturnType<typeof sql>): Promise<void> {
    const name = sql.table(table);
    while (await this.mayGoOn()) {
      const { numAffectedRows = 0n } = await sql`
        delete from ${name}
        where ctid = any (array (select ctid from ${name} where ${due} limit ${BATCH}))`.execute(this.db);
      if (numAffectedRows < BATCH) return;
    }
  }
}

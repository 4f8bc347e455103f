import pg from 'pg';
import { decodeEventCursor } from '../../src/events/event-cursor.js';
import { parseId } from '../../src/graphql/ids.js';
import type { Follower } from './follower.js';
import type { Ledger } from './ledger.js';
import type { Removal } from './members.js';

export interface Verdict {
  readonly events: number;
  readonly deliveries: number;
  /** Deliveries: events of the log that a subscriber never got, got twice, got out of order. */
  readonly lost: number;
  readonly doubled: number;
  readonly disordered: number;
  /** Deliveries that are no event of the log. */
  readonly foreign: number;
  /** Deliveries to someone who had been removed. */
  readonly afterRemoval: number;
  readonly acknowledged: number;
  /** Acknowledged writes that the database does not hold, or holds otherwise. */
  readonly writesLost: number;
  /** Events of the writers beyond those that were acknowledged. */
  readonly writesDoubled: number;
}

interface LogRow {
  readonly seq: number;
  readonly tag: string;
  readonly kind: string;
  readonly subject: string | null;
  readonly user_id: string | null;
}

export const uuidOf = (globalId: string): string => parseId(globalId)?.id ?? '';

/** Where each room's log ends. */
export async function heads(database: pg.PoolConfig): Promise<Map<string, number>> {
  return query(database, async (pool) => {
    const { rows } = await pool.query<{ id: string; last_seq: string }>('select id, last_seq from rooms');
    return new Map(rows.map((row) => [row.id, Number(row.last_seq)]));
  });
}

/** Holds what everyone was sent, and what writers were told, against the log. */
export async function judge(
  database: pg.PoolConfig,
  followers: readonly Follower[],
  ledger: Ledger,
  removals: readonly Removal[],
): Promise<Verdict> {
  const logs = await query(database, readLogs);
  const contents = await query(database, readContents);
  const perFollower = followers.map((follower) =>
    compare(follower, logs.get(uuidOf(follower.roomId)) ?? [], removals),
  );
  const sum = (key: keyof Comparison): number => perFollower.reduce((total, one) => total + one[key], 0);
  return {
    events: [...logs.values()].reduce((total, rows) => total + rows.length, 0),
    deliveries: followers.reduce((total, { seqs }) => total + seqs.length, 0),
    lost: sum('lost'),
    doubled: sum('doubled'),
    disordered: sum('disordered'),
    foreign: sum('foreign'),
    afterRemoval: sum('afterRemoval'),
    acknowledged: ledger.entries.length,
    ...audit(ledger, logs, contents),
  };
}

type Comparison = Pick<Verdict, 'lost' | 'doubled' | 'disordered' | 'foreign' | 'afterRemoval'>;

function compare(follower: Follower, log: readonly LogRow[], removals: readonly Removal[]): Comparison {
  const rows = new Map(log.map((row) => [row.seq, row]));
  const out = removals
    .filter(({ userId, roomId }) => userId === follower.userId && roomId === follower.roomId)
    .map((removal, index) => ({ ...removal, seq: departures(log, follower.userId)[index] ?? Infinity }));
  const seen = new Set<number>();
  let [doubled, disordered, foreign, afterRemoval, highest] = [0, 0, 0, 0, follower.startSeq];
  follower.seqs.forEach((seq, i) => {
    const row = rows.get(seq);
    if (row?.tag !== follower.tags[i] || row?.kind !== kindOf(follower.kinds[i]!)) foreign += 1;
    if (seen.has(seq)) doubled += 1;
    else if (seq < highest) disordered += 1;
    seen.add(seq);
    highest = Math.max(highest, seq);
    if (out.some((removal) => seq >= removal.seq && follower.arrivals[i]! < removal.takenBackAt))
      afterRemoval += 1;
  });
  const lost = log.filter(({ seq }) => seq > follower.startSeq && !seen.has(seq)).length;
  return { lost, doubled, disordered, foreign, afterRemoval };
}

/** MessageAdded is MESSAGE_ADDED. */
const kindOf = (typename: string): string => typename.replaceAll(/(?<=.)([A-Z])/g, '_$1').toUpperCase();

/** The places in the log at which someone left. */
const departures = (log: readonly LogRow[], userId: string): number[] =>
  log.filter((row) => row.kind === 'MEMBER_LEFT' && row.user_id === uuidOf(userId)).map(({ seq }) => seq);

function audit(
  ledger: Ledger,
  logs: ReadonlyMap<string, readonly LogRow[]>,
  contents: ReadonlyMap<string, string>,
): Pick<Verdict, 'writesLost' | 'writesDoubled'> {
  const inLog = new Map<string, LogRow[]>();
  for (const [roomId, rows] of logs) {
    for (const row of rows) {
      if (row.subject === null) continue;
      const key = `${row.kind} ${roomId} ${row.subject}`;
      inLog.set(key, [...(inLog.get(key) ?? []), row]);
    }
  }
  // What a message says in the end is what was acknowledged last.
  const last = new Map(
    ledger.entries.flatMap(({ kind, subjectId, content }) =>
      content === undefined || kind === 'FILE_DELETED' ? [] : [[uuidOf(subjectId), content] as const],
    ),
  );
  let writesLost = 0;
  for (const { kind, roomId, subjectId, eventCursor } of ledger.entries) {
    const key = `${kind} ${uuidOf(roomId)} ${uuidOf(subjectId)}`;
    const [row, ...more] = inLog.get(key) ?? [];
    const place = eventCursor === undefined ? undefined : decodeEventCursor(eventCursor);
    const misplaced = eventCursor !== undefined && (place?.seq !== row?.seq || place?.tag !== row?.tag);
    const altered = contents.get(uuidOf(subjectId)) !== last.get(uuidOf(subjectId));
    if (row === undefined || misplaced || altered) writesLost += 1;
    // Left in: events that nobody was told of.
    inLog.set(key, more);
  }
  return { writesLost, writesDoubled: [...inLog.values()].reduce((total, rows) => total + rows.length, 0) };
}

async function readLogs(pool: pg.Pool): Promise<Map<string, LogRow[]>> {
  const { rows } = await pool.query<LogRow & { room_id: string; seq: string }>(
    `select room_id, seq, tag, kind, user_id, coalesce(message_id, file_id) as subject
       from room_events order by room_id, seq`,
  );
  const logs = new Map<string, LogRow[]>();
  for (const row of rows) {
    const log = logs.get(row.room_id) ?? [];
    log.push({ ...row, seq: Number(row.seq) });
    logs.set(row.room_id, log);
  }
  return logs;
}

/** What messages say, and the hashes of files, by id. */
async function readContents(pool: pg.Pool): Promise<Map<string, string>> {
  const { rows } = await pool.query<{ id: string; content: string }>(
    'select id, body as content from messages union all select id, sha256 from files',
  );
  return new Map(rows.map(({ id, content }) => [id, content]));
}

async function query<T>(database: pg.PoolConfig, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = new pg.Pool(database);
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

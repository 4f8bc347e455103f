/** How long work of one kind may take on the database's server, in milliseconds. */
export interface StatementLimits {
  /** A statement without a byte of an answer for so long: its connection is taken for dead, and closed. */
  readonly silenceMs: number;
  /** A statement that a client waits for; 0 for any time. It ends before silence is suspected. */
  readonly statementMs: number;
  /** A wait for a lock; 0 for any. It ends before silence is suspected. */
  readonly lockMs: number;
  /** A transaction without a statement. The server ends those whose process has gone without a word, with their locks. */
  readonly idleMs: number;
}

/** What requests wait for. `timeoutMs`: DATABASE_TIMEOUT; `statementMs`: DATABASE_STATEMENT_TIMEOUT. */
export const limitsOfRequests = (timeoutMs: number, statementMs: number): StatementLimits => ({
  silenceMs: timeoutMs,
  statementMs: Math.min(statementMs, Math.floor(timeoutMs * 0.8)),
  lockMs: Math.min(3000, timeoutMs / 2),
  idleMs: timeoutMs,
});

/** Statements in the background, which may take long. */
export const limitsOfBackground = (timeoutMs: number): StatementLimits => ({
  ...limitsOfRequests(timeoutMs, 0),
  silenceMs: timeoutMs * 12,
});

/** Migrations and commands: they build indexes of large tables, and wait for each other. */
export const LIMITS_OF_COMMANDS: StatementLimits = {
  silenceMs: 6 * 3_600_000,
  statementMs: 0,
  lockMs: 0,
  idleMs: 0,
};

/** What has a server keep to the limits. */
export const settingsOf = ({
  statementMs,
  lockMs,
  idleMs,
}: StatementLimits): Readonly<Record<string, string>> => ({
  statement_timeout: String(statementMs),
  lock_timeout: String(lockMs),
  idle_in_transaction_session_timeout: String(idleMs),
});

/** What was acknowledged, to be held against the database. */
export interface Entry {
  readonly kind: 'MESSAGE_ADDED' | 'MESSAGE_EDITED' | 'MESSAGE_DELETED' | 'FILE_ADDED' | 'FILE_DELETED';
  /** Global ids. */
  readonly roomId: string;
  readonly subjectId: string;
  /** The place that was answered; only where repeating the write answers the first outcome. */
  readonly eventCursor?: string;
  /** What the message says, or the file's SHA-256. */
  readonly content?: string;
}

export class Ledger {
  readonly entries: Entry[] = [];
  /** Answers that were errors, by code, and those that never came. */
  readonly failures = new Map<string, number>();
  /** Writes that were acknowledged only when they were repeated. */
  repeated = 0;
  /** Writes that were sent twice at once. */
  twins = 0;
  /** What must not happen, in words, and how often it did. */
  readonly oddities = new Map<string, number>();

  failed(how: string): void {
    this.failures.set(how, (this.failures.get(how) ?? 0) + 1);
  }

  odd(what: string): void {
    this.oddities.set(what, (this.oddities.get(what) ?? 0) + 1);
  }
}

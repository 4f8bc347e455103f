/** Files that the embedded Postgres has open at once; what it opens beside them for a moment is a handful. */
export const EMBEDDED_FILES = 256;

/** What the embedded Postgres is started with. */
export const SETTINGS: Readonly<Record<string, string>> = {
  // The one method that reaches DurableNodeFS.
  wal_sync_method: 'fsync',
  // The rest of the memory is better used by the operating system's cache, where the pages are anyway.
  shared_buffers: '32MB',
  // Log files are kept for reuse: writing a fresh one stops everything for the time that 16 MB take.
  min_wal_size: '48MB',
  max_wal_size: '64MB',
  // File descriptors are shared with connections and uploads.
  max_files_per_process: String(EMBEDDED_FILES),
  // What the operator can use (recovery, shutdown, panic), and neither each refused INSERT nor its text.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
};

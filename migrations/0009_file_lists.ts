import { sql, type Kysely } from 'kysely';

/** What the index over parts of names is made of. Both come with Postgres, and the owner of a database may create them. */
const EXTENSIONS = ['pg_trgm', 'btree_gin'];

/**
 * Orders, and what files are narrowed to, each with its column and with something that holds for every value there. Each index has as a
 * condition what holds for its order and its list, and a list says the same, so that it is read off this index and no other: by its
 * estimates Postgres would take another one and sort, or pass over rows, where it believes that there are few of them.
 */
const ORDERS = {
  created: { column: sql`created_at`, always: sql`created_at > '-infinity'` },
  name: { column: sql`name_key`, always: sql`name_key >= ''` },
  size: { column: sql`size`, always: sql`size >= 0` },
};
const LISTS = {
  of_room_by: { columns: sql`room_id`, always: sql`seq >= 0` },
  of_type_by: { columns: sql`room_id, mime_type`, always: sql`mime_type >= ''` },
  of_uploader_by: {
    columns: sql`room_id, uploader_id`,
    always: sql`uploader_id >= '00000000-0000-0000-0000-000000000000'`,
  },
};

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const name of EXTENSIONS) await createExtension(db, name);
  for (const [list, { columns, always }] of Object.entries(LISTS)) {
    for (const [name, order] of Object.entries(ORDERS)) {
      await sql`
        create index ${sql.ref(`files_${list}_${name}`)} on files (${columns}, ${order.column}, seq)
        where deleted_at is null and ${order.always} and ${always}`.execute(db);
    }
  }
  // With the room in it, so that what others have in theirs is passed over. New names wait in a list, which every search reads: it is kept short.
  await sql`
    create index files_by_name_part on files using gin (room_id, name_key gin_trgm_ops)
    with (gin_pending_list_limit = 256) where deleted_at is null`.execute(db);
  // Last, since from here on nobody reads the table until the step is done.
  await sql`drop index files_by_time, files_by_name, files_by_size`.execute(db);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  for (const list of Object.keys(LISTS)) {
    for (const name of Object.keys(ORDERS)) {
      await sql`drop index ${sql.ref(`files_${list}_${name}`)}`.execute(db);
    }
  }
  await sql`drop index files_by_name_part`.execute(db);
  await sql`create unique index files_by_time on files (room_id, seq) where deleted_at is null`.execute(db);
  await sql`create unique index files_by_name on files (room_id, name_key, seq) where deleted_at is null`.execute(
    db,
  );
  await sql`create unique index files_by_size on files (room_id, size, seq) where deleted_at is null`.execute(
    db,
  );
  // The extensions stay: others may use them by now.
}

/** Throws one line that says what is missing, with the code that Postgres gave. */
async function createExtension(db: Kysely<unknown>, name: string): Promise<void> {
  try {
    await sql`create extension if not exists ${sql.ref(name)}`.execute(db);
  } catch (error) {
    const { message, code } = error as Error & { code?: unknown };
    throw Object.assign(
      new Error(
        `lists of files need the extension ${name} (${message}): have an administrator of the database install Postgres' contrib modules if they are missing, and run "create extension ${name}" in it`,
        { cause: error },
      ),
      { code },
    );
  }
}

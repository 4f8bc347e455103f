import { domainToASCII } from 'node:url';
import { sql, type Kysely } from 'kysely';

/** Rows that are read at once. */
const BATCH = 1000;

/**
 * Names are compared by full case folding from now on, and kept in NFC; the domains of addresses are kept in punycode. Only rows that
 * are not ASCII can differ: these are read in batches, and written where they do, which holds these rows until the step is done. No
 * table is locked. Rooms are seen to in the background (0022_room_keys).
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await eachRow(db, 'users', 'email', async ({ id, name, other }) => {
    const composed = name.normalize('NFC');
    if (composed !== name) await sql`update users set name = ${composed} where id = ${id}`.execute(db);
    const email = other === null ? null : addressOf(other);
    // Where two accounts have one address by now, each keeps what it has.
    if (email !== other) {
      await sql`
        update users set email = ${email}
        where id = ${id} and not exists (select from users taken where taken.email = ${email})`.execute(db);
    }
  });
  await keyFiles(db, keyOf);
}

export async function down(db: Kysely<unknown>): Promise<void> {
  // The program before compares in lower case.
  await keyFiles(db, (name) => name.normalize('NFKC').toLowerCase().normalize('NFKC'));
}

const keyFiles = (db: Kysely<unknown>, key: (name: string) => string): Promise<void> =>
  eachRow(db, 'files', 'name_key', async ({ id, name, other }) => {
    const wanted = key(name);
    if (wanted !== other) await sql`update files set name_key = ${wanted} where id = ${id}`.execute(db);
  });

interface NamedRow {
  readonly id: string;
  readonly name: string;
  /** Of the other column. */
  readonly other: string | null;
}

/** Visits the rows of a table whose name or other column is not ASCII. */
async function eachRow(
  db: Kysely<unknown>,
  table: string,
  column: string,
  visit: (row: NamedRow) => Promise<void>,
): Promise<void> {
  const other = sql.ref(column);
  let last = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const { rows } = await sql<NamedRow>`
      select id, name, ${other} as other from ${sql.table(table)}
      where id > ${last}
        and (octet_length(name) <> char_length(name) or octet_length(${other}) <> char_length(${other}))
      order by id limit ${BATCH}`.execute(db);
    for (const row of rows) await visit(row);
    last = rows.at(-1)?.id ?? last;
    if (rows.length < BATCH) return;
  }
}

// As the program did all this when the step was released: a step imports nothing of it.

const folded = (text: string): string =>
  text
    .split('ı')
    .map((part) => part.toLowerCase().toUpperCase().toLowerCase())
    .join('ı')
    .replaceAll('ς', 'σ');

const keyOf = (name: string): string =>
  folded(folded(name.normalize('NFD')).normalize('NFKD'))
    .normalize('NFKC')
    .replaceAll(/i\u0307+/gu, 'i')
    .normalize('NFKC');

/** The address with its domain in punycode; as it is where that cannot be. */
function addressOf(email: string): string {
  const at = email.lastIndexOf('@');
  const domain = email.slice(at + 1);
  const ascii = /[^a-z0-9.\-\u0080-\u{10FFFF}]/iu.test(domain) ? '' : domainToASCII(domain);
  if (at < 1 || ascii === '') return email;
  return `${folded(email.slice(0, at).normalize('NFD')).normalize('NFC')}@${ascii}`;
}

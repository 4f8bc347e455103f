/**
 * The house as a table: which room may import from which. It says what docs/architecture.md draws; the rules beside this
 * file read it.
 */

/**
 * Each room of `src/` (a folder, or a file at its root) with the rooms right below it. A room may import from
 * everything below, however far. A room that is not in this table may not exist.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const RIGHT_BELOW = {
  main: ['cluster'],
  cluster: ['app'],
  'print-schema': ['schema'],
  migrate: ['db'],
  'files-tool': ['files'],
  app: ['http', 'ws'],
  http: ['live'],
  ws: ['live'],
  live: ['schema'],
  schema: ['messages', 'typing'],
  // The slices.
  messages: ['files'],
  files: ['rooms', 'network'],
  typing: ['rooms'],
  rooms: ['accounts', 'jobs'],
  accounts: ['graphql'],
  // The platform.
  network: [],
  graphql: ['events', 'execution', 'rate-limits'],
  execution: [],
  events: ['db'],
  jobs: ['db'],
  'rate-limits': ['config'],
  db: ['migrations', 'observability'],
  observability: ['config'],
  config: ['viewer'],
  viewer: ['errors'],
  errors: ['package-directory', 'make-folder'],
  'package-directory': ['text', 'names', 'addresses', 'async'],
  text: [],
  names: ['text'],
  addresses: [],
  async: [],
  'make-folder': [],
  // Beside src/: released steps stand on nothing that may change, and the page talks to the server like any client.
  migrations: [],
  web: [],
};

const SLICES = new Set(['accounts', 'rooms', 'messages', 'files', 'typing']);

/** These read the whole configuration and wire with it; everyone else is handed what they need, and imports types at most. */
const CONFIG_READERS = new Set(['main', 'migrate', 'files-tool', 'print-schema', 'app', 'config']);

/**
 * Inside a slice, and between slices, a file's role is in its name (`rooms.policy.ts`); without one it does a
 * service's work. Each role with the roles it may import.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const ROLES = {
  schema: ['schema', 'service', 'queries', 'policy'],
  service: ['service', 'queries', 'policy'],
  queries: ['queries'],
  policy: ['policy'],
};

/** Where GraphQL is spoken: from here up, and in `graphql/`, and in a slice's `*.schema.ts`. */
const GRAPHQL_ROOMS = new Set([
  'main',
  'print-schema',
  'app',
  'http',
  'ws',
  'live',
  'schema',
  'graphql',
  'execution',
]);
const GRAPHQL_PACKAGES = /^(graphql$|graphql\/|graphql-yoga|graphql-ws|@pothos\/|@graphql-|@escape\.tech\/)/;

const DATABASE_PACKAGES = /^(kysely|pg|@electric-sql\/pglite)($|[/-])/;

/** @typedef {{ room: string, role: string | undefined, path: string }} Place */

/**
 * Where a file stands. Tests stand outside: they look at every room from wherever they are.
 * @param {string} path relative to the repository, with forward slashes
 * @returns {Place | undefined}
 */
export function placeOf(path) {
  if (/\.test\.[jt]s$/.test(path)) return undefined;
  const [root = '', first = '', ...rest] = path.split('/');
  if (root !== 'src') return root in RIGHT_BELOW ? { room: root, role: undefined, path } : undefined;
  const room = rest.length === 0 ? first.replace(/\.[jt]s$/, '') : first;
  if (!SLICES.has(room)) return { room, role: undefined, path };
  const role = /\.(schema|queries|policy)\.[jt]s$/.exec(path)?.[1] ?? 'service';
  return { room, role, path };
}

/**
 * Why `from` may not import `to`, both files of the repository; undefined when it may.
 * @param {Place} from
 * @param {Place | undefined} to
 * @param {boolean} typeOnly
 * @returns {string | undefined}
 */
export function whyNotFile(from, to, typeOnly) {
  if (!(from.room in RIGHT_BELOW)) return `${from.room} has no place in eslint/house.js: give it one.`;
  if (to === undefined) return 'what runs imports no tests and no tools.';
  if (to.room !== from.room && !below(from.room).has(to.room)) {
    return `imports point down, and ${to.room} is not below ${from.room}.`;
  }
  if (to.room === 'config' && !typeOnly && !CONFIG_READERS.has(from.room)) {
    return 'the configuration is handed in: only its types are imported.';
  }
  if (from.role === undefined) return undefined;
  if (from.role !== 'schema' && to.room === 'graphql') return `a ${from.role} file knows no GraphQL.`;
  if (from.role === 'policy' && to.role === undefined && to.room !== 'errors' && !typeOnly) {
    return 'a policy does no I/O: it imports types, errors and other policies.';
  }
  if (to.role !== undefined && !ROLES[from.role]?.includes(to.role)) {
    return `a ${from.role} file imports no ${to.role} file (schema → service → policy, queries).`;
  }
  return undefined;
}

/**
 * Why `from` may not import the package; undefined when it may.
 * @param {Place} from
 * @param {string} name
 * @param {boolean} typeOnly
 * @returns {string | undefined}
 */
export function whyNotPackage(from, name, typeOnly) {
  if (from.role === 'policy') return 'a policy does no I/O and needs no package.';
  if (GRAPHQL_PACKAGES.test(name) && from.role !== 'schema' && !GRAPHQL_ROOMS.has(from.room)) {
    return `${from.role ?? from.room} knows no GraphQL.`;
  }
  if (DATABASE_PACKAGES.test(name) && !typeOnly && !mayQuery(from)) {
    return 'queries live in *.queries.ts, events/event-log.ts and db/.';
  }
  if (name === 'process' || name === 'node:process') return 'the environment is read in src/config.';
  return undefined;
}

/** @param {Place} place */
export const mayQuery = ({ room, role, path }) =>
  role === 'queries' ||
  room === 'db' ||
  room === 'migrations' ||
  path === 'src/events/event-log.ts' ||
  path === 'src/jobs/jobs.queries.ts';

/**
 * Every room below this one.
 * @param {string} room
 * @returns {Set<string>}
 */
function below(room) {
  const found = new Set(RIGHT_BELOW[room]);
  for (const next of found) for (const deeper of RIGHT_BELOW[next] ?? []) found.add(deeper);
  return found;
}

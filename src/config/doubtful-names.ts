import { schema } from './variables.js';

/** What names begin with that nothing else would read. */
const OURS =
  /^(PARLEY|DATABASE|REDIS|JWT|UPLOADS?|QUOTA|CLAMAV|SIGN_(IN|UP)|METRICS|CORS|DRAIN|SOCKET|PERSISTED|S3)_/;

/** What Kubernetes and Docker say of services beside this one. */
const OF_SERVICES = /_(SERVICE_(HOST|PORT)(_|$)|PORT(_\d+_(TCP|UDP)(_|$)|$)|ENV_)/;

const KNOWN = Object.keys(schema.shape);

/** Names of an environment that are not ours and look like it, each with the one that may be meant. */
export function doubtfulNames(environment: NodeJS.ProcessEnv): Map<string, string | undefined> {
  const doubtful = new Map<string, string | undefined>();
  for (const name of Object.keys(environment)) {
    if (name in schema.shape || environment[name] === '') continue;
    const meant = KNOWN.find((known) => isLike(name, known));
    if (meant !== undefined || (OURS.test(name) && !OF_SERVICES.test(name))) doubtful.set(name, meant);
  }
  return doubtful;
}

/** Whether the one is the other written a little otherwise: short names need to be closer than long ones. */
function isLike(name: string, known: string): boolean {
  const [a, b] = [bare(name), bare(known)];
  if (a === b) return true;
  const most = b.length < 6 ? 0 : b.length < 10 ? 1 : 2;
  return Math.abs(a.length - b.length) <= most && distance(a, b) <= most;
}

const bare = (name: string): string => name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '');

/** Letters to insert, delete, replace or swap with their neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const swaps = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          at(i - 1, j) + 1,
          at(i, j - 1) + 1,
          at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1),
          swaps ? at(i - 2, j - 2) + 1 : Infinity,
        ),
      );
    }
  }
  return at(a.length, b.length);
}

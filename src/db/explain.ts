import { isOutage } from './outage.js';
import { StartError } from '../errors.js';
import { withSources } from '../observability/source-maps.js';

/** What the codes of errors mean for the person who starts the program, where the message does not say it. */
const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; set PORT to another port',
  EADDRNOTAVAIL: 'this machine has no such address; set HOST to one of its own, or to 0.0.0.0 for all',
  EACCES: 'this user may not do that',
  EPERM: 'this user may not do that',
  EROFS: 'that is mounted read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota of this user is used up',
  EEXIST: 'something that is no folder is there',
  ENOTDIR: 'something that is no folder is there',
  EMFILE: 'too many files are open; raise `ulimit -n`',
  ENFILE: 'too many files are open on this machine',
};

const DEFECT = /^(?:Type|Range|Reference|Syntax|Assertion)Error$/;

/** Why a program could not start or go on, in one line for the person who started it. */
export function explain(error: unknown): string {
  const lines = reasonOf(error)
    .split(/[\r\n]/)
    .map((line) => line.trim());
  return lines.filter((line) => line !== '').join(' ');
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof StartError) return error.message;
  const code = 'code' in error ? String(error.code) : '';
  // What was attempted, then why it failed.
  if (error.cause !== undefined) return `${error.message}: ${reasonOf(error.cause)}`;
  // Each address of a name was tried, and has its reason.
  if (error instanceof AggregateError && error.message === '') {
    const reasons = error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one)));
    return `cannot reach what it needs: ${reasons.join(', ')}`;
  }
  const hint = HINTS[code];
  if (hint !== undefined) return `${error.message}: ${hint}`;
  if (isOutage(error)) return `cannot reach what it needs: ${error.message || code}`;
  // Postgres's, and the system's, say what happened; so does whatever else bears a code.
  if (code !== '') return error.message || code;
  const said =
    error.name === 'Error' && error.message !== '' ? error.message : `${error.name}: ${error.message}`;
  // A defect of this program says more by where it is.
  const place = DEFECT.test(error.name) ? /\bat .+/.exec(withSources(error.stack ?? ''))?.[0] : undefined;
  return place === undefined ? said : `${said} (${place})`;
}

/** Runs a program; what it throws, or what fails beside it before it runs, ends the process with code 1 and one line that says why. */
export function runCommand(command: () => Promise<void>): void {
  const fail = (error: unknown): never => {
    process.stderr.write(`parley: ${explain(error)}\n`);
    process.exit(1);
  };
  process.on('uncaughtException', fail);
  command().catch(fail);
}

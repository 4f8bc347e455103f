import type { Logger, LoggerOptions, LogFn } from 'pino';
import { shortened } from '../text.js';

/** Milliseconds for which lines of one kind are counted before they are one line. */
const WINDOW_MS = 1000;
/** Windows after which a kind that goes on is written whole again, for those who begin to read there. */
const WINDOWS = 60;
/** Kinds that are known at a time. Lines of others are all written: none is lost for want of memory. */
const MAX_KINDS = 200;
/** UTF-16 units by which a kind is known. A longer one is written each time. */
const MAX_KEY = 4000;

/** Fields that tell apart what went wrong beside the error. */
const TELLING = ['kind', 'check', 'node'];
/** Fields that name what it happened to: where lines are left out, there are lists of them. */
const NAMING = ['requestId', 'subject', 'storageKey', 'roomId'];
const MAX_NAMED = 20;

const [WARN, FATAL] = [40, 60];

type Fields = Readonly<Record<string, unknown>>;
type Hook = NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']>;

/**
 * Lets warnings and errors be one line a kind and second. The first is written at once and whole; those that follow
 * within a second are one line at its end, with `repeated`, how many they are, and without a stack. Of one kind are
 * errors that say the same from the same place, numbers and ids aside; lines without an error only when all is the same.
 */
export function leaveOutRepeats(): Hook {
  const kinds = new Map<string, Kind>();
  return function (args, method, level) {
    const [fields, message] = partsOf(args);
    const key = level >= WARN && level < FATAL ? keyOf(fields, message) : undefined;
    const kind = key === undefined ? undefined : kinds.get(`${level} ${key}`);
    if (kind !== undefined) {
      kind.count(fields);
      return;
    }
    if (key !== undefined && kinds.size < MAX_KINDS)
      kinds.set(
        `${level} ${key}`,
        new Kind(writerOf(this, method, message), () => kinds.delete(`${level} ${key}`)),
      );
    method.apply(this, args);
  };
}

const writerOf =
  (logger: Logger, method: LogFn, message: string) =>
  (fields: Fields): void => {
    method.apply(logger, [fields, message]);
  };

/** Kinds with lines that are yet to be told of. */
const untold = new Set<Kind>();
let isListening = false;

/** Before those who write what is left of the log. */
function tellAtTheEnd(): void {
  if (isListening) return;
  isListening = true;
  const tell = (): void => {
    for (const kind of [...untold]) kind.tell();
  };
  process.prependListener('beforeExit', tell).prependListener('exit', tell);
}

/** Lines of one kind, since the first one of them. */
class Kind {
  private repeated = 0;
  private last: Fields = {};
  private named: Record<string, unknown[]> = {};
  private windows = 0;

  constructor(
    private readonly write: (fields: Fields) => void,
    private readonly onOver: () => void,
  ) {
    this.begin();
  }

  count(fields: Fields): void {
    this.repeated += 1;
    this.last = fields;
    for (const name of NAMING) {
      if (fields[name] === undefined) continue;
      const names = (this.named[name] ??= []);
      if (names.length < MAX_NAMED) names.push(fields[name]);
    }
    untold.add(this);
    tellAtTheEnd();
  }

  /** Writes a line for all that were counted. */
  tell(): void {
    const { last, named, repeated } = this;
    untold.delete(this);
    this.last = this.named = {};
    this.repeated = 0;
    const brief = 'err' in last ? { err: briefly(last['err']) } : {};
    this.write({ ...last, ...brief, ...named, repeated });
  }

  private begin(): void {
    setTimeout(() => this.end(), WINDOW_MS).unref();
  }

  private end(): void {
    this.windows += 1;
    const goesOn = this.repeated > 0 && this.windows < WINDOWS;
    if (this.repeated > 0) this.tell();
    if (goesOn) this.begin();
    else this.onOver();
  }
}

/** As pino takes them: an error, fields and a text, or a text alone. */
function partsOf([first, second]: unknown[]): [Fields, string] {
  if (typeof first === 'string') return [{}, first];
  return [first instanceof Error ? { err: first } : (first as Fields), String(second)];
}

/** What lines of one kind have in common. Undefined for a line that is of no kind. */
function keyOf(fields: Fields, message: string): string | undefined {
  const told = 'err' in fields ? TELLING.map((name) => String(fields[name])) : valuesOf(fields);
  if (told === undefined) return undefined;
  const key = [message, ...told, 'err' in fields ? kindOf(fields['err']) : ''].join('\n');
  return key.length > MAX_KEY ? undefined : key;
}

/** All of them. Undefined where one is more than a text or a number, and for a line about one request, each of which counts. */
function valuesOf(fields: Fields): string[] | undefined {
  const values = Object.entries(fields);
  return 'requestId' in fields || values.some(([, value]) => typeof value === 'object' && value !== null)
    ? undefined
    : values.map(([name, value]) => `${name} ${String(value)}`);
}

/** UTF-16 units of a message that tell its kind. */
const MAX_TOLD = 300;
/** Errors behind an error that are looked at. */
const MAX_DEPTH = 3;

function kindOf(error: unknown, depth = 0): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? worded(error) : typeof error;
  const { name, message, cause } = error;
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const behind = cause ?? first;
  const own = [name, codeOf(error), worded(message), placeOf(error)].join('\n');
  return behind === undefined || depth === MAX_DEPTH ? own : `${own}\n${kindOf(behind, depth + 1)}`;
}

/** The words of a message without those that have digits in them: numbers, addresses and ids. */
const worded = (message: string): string =>
  message
    .slice(0, MAX_TOLD)
    .split(' ')
    .map((word) => (/\d/.test(word) ? '#' : word))
    .join(' ');

/** The first line of its stack that is a place. */
function placeOf({ stack, message }: Error): string {
  if (typeof stack !== 'string') return '';
  const begin = stack.indexOf('\n    at ', message.length);
  if (begin < 0) return '';
  const end = stack.indexOf('\n', begin + 1);
  return stack.slice(begin, end < 0 ? undefined : end).slice(0, MAX_TOLD);
}

const codeOf = (error: Error): string =>
  'code' in error && (typeof error.code === 'string' || typeof error.code === 'number')
    ? String(error.code)
    : '';

/** An error without its stack. */
function briefly(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = codeOf(error);
  return {
    type: error.name,
    message: shortened(error.message, MAX_TOLD),
    ...(code === '' ? {} : { code }),
  };
}

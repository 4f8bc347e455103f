import { fstatSync } from 'node:fs';
import { destination, pino, stdSerializers, symbols, type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config/config.js';
import { shortened } from '../text.js';
import { counts } from './counts.js';
import { leaveOutRepeats } from './repeats.js';
import { withSources } from './source-maps.js';

export type { Logger } from 'pino';

/** Processes share standard error: what is written to a pipe by one call of so many bytes at most comes out in one piece (POSIX). */
const WHOLE_BYTES = 4096;
/** To a file each call does. One costs some 90 µs, threads that are woken for it included, however little it writes. */
const WHOLE_BYTES_IN_FILE = 64 * 1024;

/** Bytes of lines that may wait for whoever reads them; those beyond are dropped, and counted, or a stuck reader would fill memory. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/** Milliseconds that a line may wait for others to be written with: to write each by itself costs more than to make it. */
const GATHER_MS = 100;

const CENSOR = '[redacted]';

/** Fields with credentials, as they stand in JSON: in a line, and in a text within a line. */
const IN_JSON =
  /("(?:authorization|password|(?:access|refresh)?token|(?:set-)?cookie|secret)":")[^"\\]*(?:\\.[^"\\]*)*(?=")/gi;
const IN_JSON_TEXT =
  /(\\"(?:authorization|password|(?:access|refresh)?token|(?:set-)?cookie|secret)\\":\s*\\").*?(?=\\")/gi;

/** What a token looks like wherever it stands: a bearer, and the parts of an address that say who may. */
const IN_TEXT =
  /(?<=Bearer )[\w.~+/-]+=*|(?<=[?&](?:token|(?:x-amz-)?signature|x-amz-security-token)=)[^&\s"\\]+/gi;
/** A JWT, or what only begins like one: that is matched too, or each `eyJ` in it would be a beginning of its own. */
const LIKE_JWT = /eyJ[\w-]+(\.[\w-]+\.[\w-]+)?/g;

/** UTF-16 units of a field that are logged, and of an error's message and stack. */
const MAX_FIELD = 2000;
const MAX_STACK = 8000;

/** What a line has somewhere that one of these is in. Most have none, and are not searched. */
const SIGNS = ['uthorization', 'assword', 'oken', 'ookie', 'ecret', 'eyJ', 'earer ', 'ignature='];

/**
 * JSON lines on standard error, repeated warnings and errors counted (repeats.ts); standard output is left to the ready line. They are written in the background, and are whole when the
 * process ends by itself, whatever for. Nobody logs credentials; where one slips in all the same, it is cut out of the line. That is done to
 * the text, since looking through the objects by pino's own paths costs several times what it takes to log them.
 */
export function createLogger(level: Config['logLevel'], to: DestinationStream = standardError()): Logger {
  return pino(
    {
      level,
      hooks: { streamWrite: censored, logMethod: leaveOutRepeats() },
      serializers: { err: errorOf },
      formatters: { log: cut },
    },
    to,
  );
}

/** Lets Node, and libraries by it, warn in the log: on standard error by themselves they would be texts of many lines. */
export function logWarnings(logger: Logger): void {
  process.removeAllListeners('warning').on('warning', ({ name, message }) => {
    logger.warn({ warning: name, text: message }, 'a library warns');
  });
}

/**
 * Logs a line that comes with every request: its fields are JSON already, such as `,"status":200`, in the order in which they are to stand.
 * What pino would write, for a third of what it costs: it looks at each value, and for options that nobody has set.
 */
export function logLine(logger: Logger, level: 'debug' | 'info', fields: string, msg: string): void {
  const value = level === 'info' ? 30 : 20;
  if (value < logger.levelVal) return;
  const own = logger as Logger & { [symbols.chindingsSym]: string; [symbols.streamSym]: DestinationStream };
  own[symbols.streamSym].write(
    censored(
      `{"level":${String(value)},"time":${String(Date.now())}${own[symbols.chindingsSym]}${fields},"msg":"${msg}"}\n`,
    ),
  );
}

/** An error as it is logged. Redis' client hangs the refused command on it: its arguments may be a password, and are nobody's business. */
function errorOf(error: unknown): unknown {
  // What only looks like one, such as one without its stack (repeats.ts), is shown as it is.
  const shown: unknown = error instanceof Error ? stdSerializers.err(error) : error;
  tidy(shown);
  return shown;
}

/** Names commands and sources, and cuts long texts: what failed may tell what a client sent. */
function tidy(shown: unknown): void {
  if (typeof shown !== 'object' || shown === null) return;
  // Enumerable ones: the error itself stands behind a getter.
  for (const [name, value] of Object.entries(shown)) {
    if (typeof value === 'object') tidy(value);
    else if (typeof value === 'string' && (name === 'stack' || value.length > MAX_FIELD))
      (shown as Record<string, unknown>)[name] =
        name === 'stack' ? withSources(shortened(value, MAX_STACK)) : shortened(value, MAX_FIELD);
  }
  if ('command' in shown && typeof shown.command === 'object')
    shown.command = (shown.command as { name?: unknown } | null)?.name;
}

/** The fields of a line, each text cut to a length that a reader can use. */
function cut(fields: Record<string, unknown>): Record<string, unknown> {
  for (const name in fields) {
    const value = fields[name];
    if (typeof value === 'string' && value.length > MAX_FIELD)
      fields = { ...fields, [name]: shortened(value, MAX_FIELD) };
  }
  return fields;
}

function censored(line: string): string {
  if (!SIGNS.some((sign) => line.includes(sign))) return line;
  return line
    .replaceAll(IN_JSON, `$1${CENSOR}`)
    .replaceAll(IN_JSON_TEXT, `$1${CENSOR}`)
    .replaceAll(LIKE_JWT, (text, rest?: string) => (rest === undefined ? text : CENSOR))
    .replaceAll(IN_TEXT, CENSOR);
}

function standardError(): DestinationStream {
  const fd = 2;
  const most = fstatSync(fd).isFile() ? WHOLE_BYTES_IN_FILE : WHOLE_BYTES;
  const stream = destination({
    fd,
    sync: false,
    minLength: most - 1,
    periodicFlush: GATHER_MS,
    maxWrite: most,
    maxLength: MAX_WAITING_BYTES,
    // Gathered as text, all that waits would be copied for each line, to count its bytes.
    contentMode: 'buffer',
  });
  stream.on('drop', () => {
    counts.logLinesDropped += 1;
  });
  // A terminal that was closed, or a full disk, must not end what the lines are about.
  stream.on('error', () => {
    counts.logLinesDropped += 1;
  });
  return { write: (line) => stream.write(Buffer.from(line) as never) };
}

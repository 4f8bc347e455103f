import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

export interface EnvFile {
  readonly values: Readonly<Record<string, string>>;
  /** Lines that set nothing, by their numbers, though they look as if they should. */
  readonly idle: readonly number[];
}

const UTF_16 = 'it is in UTF-16: save it as UTF-8';

/**
 * Reads a `.env` in UTF-8; undefined where there is none. A byte order mark is no part of the first name. Throws an Error that says in one
 * line what is wrong with the file, and what the system says.
 */
export function readEnvFile(path: string): EnvFile | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  // Without a mark it shows by the zeros of its Latin letters.
  if (
    (bytes[0] === 0xff && bytes[1] === 0xfe) ||
    (bytes[0] === 0xfe && bytes[1] === 0xff) ||
    bytes.includes(0)
  )
    throw new Error(UTF_16);
  const text = decoded(bytes).replaceAll(/\r\n?/g, '\n');
  const values = Object.fromEntries(
    Object.entries(parseEnv(text)).flatMap(([name, value]) =>
      name.startsWith('#') || value === undefined ? [] : [[name, value] as const],
    ),
  );
  return { values, idle: idleLines(text, values) };
}

function decoded(bytes: Buffer): string {
  try {
    // It takes the mark away.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('it is not in UTF-8: save it so');
  }
}

/** `NAME: value`, `NAME value` and the like, outside of values of several lines. */
function idleLines(text: string, values: EnvFile['values']): number[] {
  return text.split('\n').flatMap((line, index) => {
    const [, name] = /^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)(?:\s*:|\s+[^=\s]|\s*$)/.exec(line) ?? [];
    return name === undefined || name in values || isInside(line, values) ? [] : [index + 1];
  });
}

const isInside = (line: string, values: EnvFile['values']): boolean =>
  Object.values(values).some((value) => value.includes('\n') && value.includes(line.trim()));

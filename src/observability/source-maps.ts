import { readdirSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { LRUCache } from 'lru-cache';

/**
 * Names the sources in stacks of the bundle. Node's own way (--enable-source-maps) does so for every error whose stack
 * is looked at, and at the first of them takes half a second and 40 MB: this is done for errors that are logged alone.
 */

/** Where the bundle lies with its maps, as far as this is part of one. */
const FOLDER = dirname(fileURLToPath(import.meta.url));
const PREFIX = `${pathToFileURL(FOLDER).href}/`;
/** What sources are named from. */
const ROOT = resolve(FOLDER, '../..');

/** A place in the bundle, behind its folder. */
const PLACE = /^([\w-]+\.js):(\d{1,9}):(\d{1,9})/;

/** Places of the bundle with what they are called in the sources: an outage shows the same ones again and again. */
const known = new LRUCache<string, string>({ max: 2000 });

let maps: ReadonlySet<string> | undefined;

/** The stack with sources in place of what they were built to. As it is where there are no maps. */
export function withSources(stack: string): string {
  const [first = '', ...rest] = stack.split(PREFIX);
  if (rest.length === 0) return stack;
  try {
    maps ??= new Set(readdirSync(FOLDER).filter((name) => name.endsWith('.js.map')));
    lookUp(rest);
  } catch {
    // A map that cannot be read must not cost the line.
  }
  return (
    first +
    rest
      .map((text) => {
        const [place] = PLACE.exec(text) ?? [];
        const source = place === undefined ? undefined : known.get(place);
        return place === undefined || source === undefined
          ? PREFIX + text
          : source + text.slice(place.length);
      })
      .join('')
  );
}

/** Finds out about places that are not known yet, each file being read once for all of them. */
function lookUp(texts: readonly string[]): void {
  const wanted = new Map<string, Place[]>();
  for (const text of texts) {
    const [place, file = '', line, column] = PLACE.exec(text) ?? [];
    if (place === undefined || known.has(place) || maps?.has(`${file}.map`) !== true) continue;
    const places = wanted.get(file) ?? [];
    places.push({ place, line: Number(line) - 1, column: Number(column) - 1 });
    wanted.set(file, places);
  }
  for (const [file, places] of wanted) {
    const { sources, mappings } = JSON.parse(readFileSync(resolve(FOLDER, `${file}.map`), 'utf8')) as {
      readonly sources: readonly string[];
      readonly mappings: string;
    };
    const origins = originsOf(mappings, places);
    // What the map does not know stays as it is, and is not looked up again.
    for (const { place } of places) if (!origins.has(place)) known.set(place, PREFIX + place);
    for (const [place, { source, line, column }] of origins) {
      const path = relative(ROOT, resolve(FOLDER, sources[source] ?? ''));
      known.set(place, `${path}:${String(line + 1)}:${String(column + 1)}`);
    }
  }
}

interface Place {
  /** As the stack has it. */
  readonly place: string;
  /** Both from 0 on. */
  readonly line: number;
  readonly column: number;
}

interface Origin {
  /** Which of the map's sources it is. */
  readonly source: number;
  readonly line: number;
  readonly column: number;
}

const DIGITS = new Int8Array(128).fill(-1);
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
for (let value = 0; value < BASE64.length; value += 1) DIGITS[BASE64.charCodeAt(value)] = value;

const SEMICOLON = 59;
const COMMA = 44;

/**
 * Where places come from: reads the mappings once, and keeps none of the others. Each is one to five numbers in base 64
 * (https://tc39.es/ecma426/): the column, and the source, line and column there, as differences to the one before.
 */
function originsOf(mappings: string, places: readonly Place[]): Map<string, Origin> {
  const found = new Map<string, Origin>();
  const last = Math.max(...places.map(({ line }) => line));
  let here = places.filter((place) => place.line === 0);
  let line = 0;
  /** The column, then the source, its line and its column, and a name, which nobody asks for. */
  const state = [0, 0, 0, 0, 0];
  let field = 0;
  let value = 0;
  let shift = 0;
  for (let i = 0; i <= mappings.length && line <= last; i += 1) {
    const char = i === mappings.length ? SEMICOLON : mappings.charCodeAt(i);
    if (char !== COMMA && char !== SEMICOLON) {
      const digit = DIGITS[char] ?? -1;
      value |= (digit & 31) << shift;
      shift += 5;
      if ((digit & 32) !== 0) continue;
      state[field] = (state[field] ?? 0) + (value & 1 ? -(value >> 1) : value >> 1);
      field += 1;
      value = shift = 0;
      continue;
    }
    const [column = 0, source = 0, sourceLine = 0, sourceColumn = 0] = state;
    if (field >= 4) {
      for (const place of here)
        if (column <= place.column)
          found.set(place.place, { source, line: sourceLine, column: sourceColumn });
    }
    field = 0;
    if (char === COMMA) continue;
    line += 1;
    state[0] = 0;
    here = places.filter((place) => place.line === line);
  }
  return found;
}

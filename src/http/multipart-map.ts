import { shortened } from '../text.js';

/** A request that breaks the GraphQL multipart request spec. The message is meant for the client. */
export class MultipartError extends Error {
  override readonly name = 'MultipartError';

  constructor(
    message: string,
    /** HTTP status. */
    readonly status: 400 | 413 = 400,
  ) {
    super(message);
  }
}

/** The parts of a file map: which part goes to which places in `operations`, each place as its steps from the top. */
export type FileMap = ReadonlyMap<string, readonly (readonly string[])[]>;

const FORBIDDEN_STEPS = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Reads the field `map`. Each place must be there in `operations` as a null among the variables, and belong to one part:
 * nothing is ever set that was not announced, and no path reaches what an object inherits. Throws MultipartError.
 * https://github.com/jaydenseric/graphql-multipart-request-spec
 */
export function readFileMap(text: string, operations: unknown, maxFiles: number): FileMap {
  const map = parseJson('map', text);
  if (!isObject(map))
    throw new MultipartError(
      '`map` must be a JSON object that lists, for each part, the places of its file.',
    );
  const taken = new Set<string>();
  const files = new Map<string, string[][]>();
  for (const [name, paths] of Object.entries(map)) {
    if (!Array.isArray(paths) || paths.length === 0 || !paths.every((path) => typeof path === 'string')) {
      throw new MultipartError(
        `\`map\`: ${quote(name)} takes a list of places such as "variables.input.file".`,
      );
    }
    for (const path of paths) {
      if (taken.has(path)) throw new MultipartError(`\`map\`: two files go to ${quote(path)}.`);
      taken.add(path);
      if (taken.size > maxFiles)
        throw new MultipartError(`A request can have at most ${String(maxFiles)} files.`, 413);
    }
    const places = paths.map((path) => path.split('.'));
    for (const place of places) {
      if (!isAnnounced(operations, place)) {
        throw new MultipartError(
          `\`map\`: ${quote(place.join('.'))} is no null among the variables of \`operations\`.`,
        );
      }
    }
    files.set(name, places);
  }
  return files;
}

/** Reads a field that holds JSON. Throws MultipartError. */
export function parseJson(field: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new MultipartError(`\`${field}\` is no JSON.`);
  }
}

/** Puts `value` at a place that `readFileMap` has checked. */
export function placeValue(operations: unknown, place: readonly string[], value: unknown): void {
  let holder = operations as Record<string, unknown>;
  for (const step of place.slice(0, -1)) holder = holder[step] as Record<string, unknown>;
  holder[place.at(-1) ?? ''] = value;
}

function isAnnounced(operations: unknown, place: readonly string[]): boolean {
  // The first step of a batch is the operation's index.
  const variables = Array.isArray(operations) ? place[1] : place[0];
  if (variables !== 'variables') return false;
  let value = operations;
  for (const step of place) {
    if (FORBIDDEN_STEPS.has(step)) return false;
    if (Array.isArray(value)) {
      if (!/^(0|[1-9]\d{0,5})$/.test(step)) return false;
      value = value[Number(step)];
    } else if (isObject(value) && Object.hasOwn(value, step)) {
      value = value[step];
    } else {
      return false;
    }
  }
  return value === null;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const quote = (text: string): string => JSON.stringify(shortened(text, 100));

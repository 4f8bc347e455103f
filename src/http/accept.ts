import { LRUCache } from 'lru-cache';
import { elementsOf, parametersOf, valueOf } from './header-values.js';

/** The media types of an answer in JSON: https://graphql.github.io/graphql-over-http/ */
export type JsonType = 'application/json' | 'application/graphql-response+json';

export const EVENT_STREAM = 'text/event-stream';

/** What an answer to one operation can be. */
export type AnswerType = JsonType | typeof EVENT_STREAM;

interface Accepted {
  /** Of an answer that is no subscription's: the one that is liked best. Undefined where none is taken. */
  readonly single: AnswerType | undefined;
  /** Whether an event stream is taken. */
  readonly stream: boolean;
}

interface Range {
  readonly type: string;
  /** From 0, which refuses, to 1. */
  readonly quality: number;
}

/** In the order that counts where a client likes several the same. */
const TYPES: readonly AnswerType[] = ['application/json', 'application/graphql-response+json', EVENT_STREAM];

/** What the `Accept` of common clients means, by its text. */
const known = new LRUCache<string, Accepted>({ max: 100 });

/** What an answer that is no subscription's is called for a client that sent this `Accept`; undefined where it takes none. */
export function answerTypeFor(accept: string | undefined): AnswerType | undefined {
  // The most of all clients.
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json')
    return 'application/json';
  return acceptedBy(accept).single;
}

/** Whether a client that sent this `Accept` takes an event stream; without one it takes anything. */
export const takesEventStream = (accept: string | undefined): boolean =>
  accept === undefined || accept === '' || acceptedBy(accept).stream;

function acceptedBy(accept: string): Accepted {
  let accepted = known.get(accept);
  if (accepted === undefined) {
    const ranges = rangesOf(accept);
    const liked = TYPES.map((type) => ({ type, ...bestFor(type, ranges) })).filter(
      ({ quality }) => quality > 0,
    );
    // Ties go by the client's order; a stream comes last, since everyone can read a single answer in JSON.
    const [first] = liked.toSorted(
      (a, b) =>
        b.quality - a.quality ||
        Number(a.type === EVENT_STREAM) - Number(b.type === EVENT_STREAM) ||
        a.place - b.place,
    );
    accepted = { single: first?.type, stream: liked.some(({ type }) => type === EVENT_STREAM) };
    known.set(accept, accepted);
  }
  return accepted;
}

/** The quality of a type: that of the range which names it most exactly (RFC 9110, section 12.5.1). */
function bestFor(type: AnswerType, ranges: readonly Range[]): { quality: number; place: number } {
  const [main = '', sub = ''] = type.split('/');
  for (const name of [type, `*/${sub}`, `${main}/*`, '*/*']) {
    const place = ranges.findIndex((range) => range.type === name);
    const range = ranges[place];
    if (range !== undefined) return { quality: range.quality, place };
  }
  return { quality: 0, place: 0 };
}

/** The media ranges of an `Accept` in which UTF-8 is taken; their other parameters make no difference here. */
function rangesOf(accept: string): Range[] {
  return elementsOf(accept).flatMap((element) => {
    const params = parametersOf(element);
    const charset = params.get('charset') ?? 'utf-8';
    if (charset !== 'utf-8' && charset !== 'utf8' && charset !== '*') return [];
    const quality = Number(params.get('q') ?? '1');
    return { type: valueOf(element), quality: quality >= 0 && quality <= 1 ? quality : 1 };
  });
}

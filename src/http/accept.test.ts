import { describe, expect, test } from 'vitest';
import { answerTypeFor, takesEventStream } from './accept.js';

const JSON_TYPE = 'application/json';
const GRAPHQL = 'application/graphql-response+json';
const STREAM = 'text/event-stream';

describe('What a client accepts', () => {
  test.each<[accept: string | undefined, single: string | undefined, stream: boolean]>([
    [undefined, JSON_TYPE, true],
    ['', JSON_TYPE, true],
    ['*/*', JSON_TYPE, true],
    ['application/json', JSON_TYPE, false],
    [GRAPHQL, GRAPHQL, false],
    [`${GRAPHQL}, application/json;q=0.9`, GRAPHQL, false],
    [`${GRAPHQL};q=0.9, application/json`, JSON_TYPE, false],
    [`application/json;q=0.2, ${GRAPHQL};q=0.3`, GRAPHQL, false],
    [`application/json, ${GRAPHQL}`, JSON_TYPE, false],
    [`${GRAPHQL}, application/json`, GRAPHQL, false],
    ['application/json;q=0', undefined, false],
    ['application/json;q=0.000', undefined, false],
    ['application/json;q=0, */*', GRAPHQL, true],
    [`*/*, ${GRAPHQL};q=0, application/json;q=0`, STREAM, true],
    ['*/*;q=0.1, text/event-stream;q=0', JSON_TYPE, false],
    ['application/*;q=0.5, */*;q=0', JSON_TYPE, false],
    ['text/event-stream', STREAM, true],
    ['TEXT/Event-Stream', STREAM, true],
    ['text/event-stream, application/json', JSON_TYPE, true],
    ['text/event-stream, */*;q=0.1', STREAM, true],
    ['text/event-stream;q=0.1, application/json;q=0.2', JSON_TYPE, true],
    ['application/json; charset="utf-8"', JSON_TYPE, false],
    ['application/json; charset="UTF-8" ; q="0.5"', JSON_TYPE, false],
    ['application/json ; charset = utf-8', JSON_TYPE, false],
    ['application/json; charset=latin1', undefined, false],
    ['application/json; charset="iso-8859-1", */*', JSON_TYPE, true],
    ['text/html; a="application/json, */*"', undefined, false],
    ['text/html; a="\\", application/json"', undefined, false],
    ['text/html; a="x, application/json', undefined, false],
    ['application/json; q=many', JSON_TYPE, false],
    ['application/json; v=1', JSON_TYPE, false],
    ['text/html', undefined, false],
    ['multipart/mixed', undefined, false],
    [',', undefined, false],
    [';;,=', undefined, false],
  ])('%s', (accept, single, stream) => {
    expect([answerTypeFor(accept), takesEventStream(accept)]).toEqual([single, stream]);
  });

  test('is found out in time that grows with its length', () => {
    const begun = performance.now();
    for (const text of ['"', '\\"', ',', ';', ';q=', 'a;b="', ' ;'])
      answerTypeFor(text.repeat(128_000 / text.length));
    expect(performance.now() - begun).toBeLessThan(5000);
  });
});

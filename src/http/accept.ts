/** The media types of an answer in JSON: https://graphql.github.io/graphql-over-http/ */
export type JsonType = 'application/json' | 'application/graphql-response+json';

/**
 * What a JSON answer is called for a client that sent this `Accept`; undefined where it takes none. The first range that fits decides:
 * weights are not looked at. The same that yoga decides for an answer that is no stream.
 */
export function jsonTypeFor(accept: string | undefined): JsonType | undefined {
  // The most of all clients.
  if (accept === undefined || accept === '' || accept === '*/*' || accept === 'application/json')
    return 'application/json';
  for (const type of rangesOf(accept)) {
    if (/^(\*|application)\/graphql-response\+json$/.test(type)) return 'application/graphql-response+json';
    if (/^(\*|application)\/(\*|json)$/.test(type)) return 'application/json';
  }
  return undefined;
}

/** Whether a client that sent this `Accept` takes an event stream; without one it takes anything. The same that yoga decides. */
export const takesEventStream = (accept: string | undefined): boolean =>
  rangesOf(accept === undefined || accept === '' ? '*/*' : accept).some((type) =>
    /^(\*|text)\/(\*|event-stream)$/.test(type),
  );

/** The media ranges of an `Accept` in which UTF-8 is taken. */
function rangesOf(accept: string): string[] {
  return accept
    .replaceAll(/\s/g, '')
    .toLowerCase()
    .split(',')
    .flatMap((range) => {
      const [type = '', ...params] = range.split(';');
      const charset = params.find((param) => param.includes('charset='));
      return charset === undefined || charset === 'charset=utf-8' ? type : [];
    });
}

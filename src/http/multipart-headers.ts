import type { Writable } from 'node:stream';
import { parametersOf, valueOf } from './header-values.js';

/** What a part is to be taken for: `skip` is read over. */
export type PartKind = 'field' | 'file' | 'skip';

export interface PartSaid {
  readonly name: string;
  /** The parser by itself takes it for a file. */
  readonly isFile: boolean;
  /** Undefined where it names none. */
  readonly charset: string | undefined;
}

type Headers = Record<string, string[] | undefined>;

/** What busboy reads the headers of each part with, as far as it is used here. */
interface HeaderParser {
  cb: (headers: Headers) => void;
}

/**
 * Has `kindOf` say what each part is by its name, and by whether it looks like a file: the parser itself takes for one what has a file name,
 * or the type application/octet-stream, and the GraphQL multipart request spec asks for neither. It reaches for what busboy keeps to
 * itself. Throws where a parser has no such thing.
 */
export function decideKinds(parser: Writable, kindOf: (part: PartSaid) => PartKind): void {
  if (!('_hparser' in parser)) throw new Error('busboy has no parser of headers where it is looked for');
  let current = parser._hparser as HeaderParser | null;
  const seen = new WeakSet<HeaderParser>();
  Object.defineProperty(parser, '_hparser', {
    get: () => current,
    set: (headers: HeaderParser | null) => {
      current = headers;
      if (headers === null || seen.has(headers)) return;
      seen.add(headers);
      const { cb } = headers;
      headers.cb = (given) => {
        cb(rewritten(given, kindOf));
      };
    },
  });
}

/** The headers of a part, written so that the parser takes it for what it is. */
function rewritten(headers: Headers, kindOf: (part: PartSaid) => PartKind): Headers {
  const disposition = headers['content-disposition']?.[0];
  if (disposition === undefined || valueOf(disposition) !== 'form-data') return headers;
  const parameters = parametersOf(disposition);
  const name = parameters.get('name') ?? '';
  const contentType = headers['content-type']?.[0] ?? '';
  const charset = parametersOf(contentType).get('charset')?.toLowerCase();
  const hasFileName = Boolean(parameters.get('filename') ?? parameters.get('filename*'));
  const isFile = hasFileName || valueOf(contentType) === 'application/octet-stream';
  switch (kindOf({ name: Buffer.from(name, 'latin1').toString(), isFile, charset })) {
    case 'skip':
      return {};
    case 'field':
      // Its bytes as they are: who asks for it knows their encoding.
      return { 'content-disposition': [named(name)], 'content-type': ['text/plain; charset=latin1'] };
    case 'file':
      return hasFileName
        ? headers
        : { ...headers, 'content-disposition': [`${named(name)}; filename="file"`] };
  }
}

const named = (name: string): string => `form-data; name="${name.replaceAll(/["\\]/g, '\\$&')}"`;

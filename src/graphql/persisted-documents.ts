import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { ParleyError } from '../errors.js';
import { limits } from './limits.js';

/** Texts that are remembered, however short. */
const MAX_REMEMBERED = 10_000;

/** What a request may say of its document. Nothing of it has been checked. */
export interface DocumentParams {
  readonly query?: unknown;
  /** GraphQL over HTTP's name for a hash, bare or as `sha256:<hex>`. */
  readonly documentId?: unknown;
  readonly extensions?: unknown;
}

/**
 * Which text a request means, and whether it may run: asked once by every way in before anything is parsed.
 *
 * A request brings the text, its SHA-256 (`documentId`, or Apollo's `extensions.persistedQuery`), or both. A hash alone stands for a
 * document of the list, or for one that came with its hash before (Apollo's automatic persisted queries). Those are kept by this
 * process alone, the last ones used: whatever is not known any more, the client sends again.
 */
export class PersistedDocuments {
  private readonly remembered = new LRUCache<string, string>({
    max: MAX_REMEMBERED,
    maxSize: limits.rememberedDocuments,
    sizeCalculation: ({ length }) => length || 1,
  });
  private readonly texts: ReadonlySet<string>;

  /** `list`: SHA-256 in hex → text. With `only`, no other document runs, and none is remembered. */
  constructor(
    private readonly list: ReadonlyMap<string, string>,
    private readonly only: boolean,
  ) {
    this.texts = new Set(list.values());
  }

  /**
   * The text to run; undefined where there is neither text nor hash, or a query that is no text, which the way in refuses as ever. Throws
   * PERSISTED_QUERY_NOT_FOUND for a hash that is not known here, PERSISTED_QUERY_ONLY for a text that is not on the list where only
   * those run, BAD_REQUEST for a hash that is none or another text's.
   */
  textOf(params: DocumentParams): string | undefined {
    const { query } = params;
    if (query != null && typeof query !== 'string') return undefined;
    // An empty one is what a client with a hash sends by a protocol that demands a text.
    const text = query == null || query === '' ? undefined : query;
    const hash = hashOf(params);
    if (hash === undefined) {
      if (text !== undefined) this.check(text);
      return text;
    }
    if (text === undefined) {
      const known = this.list.get(hash) ?? this.remembered.get(hash);
      // This very message is what Apollo's and urql's clients look for.
      if (known === undefined) throw new ParleyError('PERSISTED_QUERY_NOT_FOUND', 'PersistedQueryNotFound');
      return known;
    }
    if (createHash('sha256').update(text).digest('hex') !== hash) {
      throw new ParleyError('BAD_REQUEST', 'The hash is not the SHA-256 of the document that came with it.');
    }
    this.check(text);
    if (!this.list.has(hash)) this.remembered.set(hash, text);
    return text;
  }

  private check(text: string): void {
    if (this.only && !this.texts.has(text)) {
      throw new ParleyError(
        'PERSISTED_QUERY_ONLY',
        'This server only executes documents on its list, and this one is not on it: send it exactly as it was registered, or have it added.',
      );
    }
  }
}

/** Lower-case hex; or whatever else was said to be a hash, which is that of nothing. Either may say which hash it is. */
function hashOf({ documentId, extensions }: DocumentParams): string | undefined {
  const apollo = (extensions as { readonly persistedQuery?: unknown } | null | undefined)?.persistedQuery;
  if (documentId != null) {
    if (typeof documentId !== 'string')
      throw new ParleyError('BAD_REQUEST', '`documentId` must be the SHA-256 of a document, in hex.');
    return bare(documentId);
  }
  if (apollo == null) return undefined;
  const { version, sha256Hash } = apollo as { readonly version?: unknown; readonly sha256Hash?: unknown };
  if (version !== 1 || typeof sha256Hash !== 'string') {
    throw new ParleyError(
      'BAD_REQUEST',
      '`extensions.persistedQuery` must have `version: 1` and `sha256Hash`, the SHA-256 of a document in hex.',
    );
  }
  return bare(sha256Hash);
}

const bare = (hash: string): string => hash.replace(/^sha256:/, '').toLowerCase();

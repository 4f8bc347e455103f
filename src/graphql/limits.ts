import { badInput, ParleyError } from '../errors.js';

/** What one request may ask for. Whatever goes beyond is refused before anything runs. */
export const limits = {
  /** Fields selected, weighted by page sizes (plugin-complexity). */
  complexity: 20_000,
  /** The same of a subscription, which runs for each event. */
  eventComplexity: 5000,
  /** Fields below each other; the introspection of graphql-js has so many. */
  depth: 15,
  /** Aliases in one document. */
  aliases: 60,
  /** Lexical tokens in one document. */
  tokens: 4000,
  directives: 50,
  /** Selections of all selection sets with their fragments, and pairs of fields of one name in them: what validation compares. */
  mergeCost: 50_000,
  /** Ids in one `nodes`. */
  nodes: 100,
  /** Bytes of a JSON request body. */
  bodyBytes: 1024 * 1024,
  /** Characters of the documents that are kept parsed, and of one that is: the tree takes many times as much. */
  keptDocuments: 1024 * 1024,
  keptDocument: 32 * 1024,
  /** Bytes of the JSON text of one answer, over every transport. */
  answerBytes: 24 * 1024 * 1024,
  /** Bytes that may wait for one WebSocket to take them; with more its connection is reset. */
  waitingBytes: 48 * 1024 * 1024,
  /** Milliseconds for which a client may take nothing of what waits for it, before its connection is cut. */
  stalledMs: 30_000,
  /** Files in one multipart request. */
  filesPerRequest: 50,
  /** Bytes of one WebSocket message from a client; a larger one closes the socket with 1009. */
  frameBytes: 256 * 1024,
  /** Operations under way on one socket, completed ones until their work is done. */
  socketOperations: 100,
  /** Messages of one socket that wait for their id, whose operation before is still ending; one more closes it with 1013. */
  socketWaiting: 100,
  /** Different selections with which one user follows one room over one process. */
  roomSelections: 50,
  /** What an event may cost by all selections with which one user follows one room over one process. */
  roomEventComplexity: 10_000,
  /** Characters of documents that one process keeps to know them by their hashes again, beside those of the list. */
  rememberedDocuments: 8 * 1024 * 1024,
  /** Milliseconds for ConnectionInit to arrive. */
  connectionInitMs: 10_000,
  /** Milliseconds for which a socket that is not signed in may do nothing, and for which it may stay at all. */
  signedOutIdleMs: 60_000,
  signedOutMs: 600_000,
} as const;

export const tooComplex = (what: string): ParleyError =>
  new ParleyError('QUERY_TOO_COMPLEX', `${what} Ask for less at once: fewer fields, smaller pages.`);

export const tooManyNodes = (): ParleyError =>
  badInput('ids', `\`ids\` can have at most ${String(limits.nodes)} ids: send the rest in another request.`);

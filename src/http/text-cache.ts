import { LRUCache } from 'lru-cache';
import { limits } from '../graphql/limits.js';

/** Keeps what was found out about documents, by their text: of those that came last, and of none that is long (limits.ts). */
export const textCache = <Found extends object>(): LRUCache<string, Found> =>
  new LRUCache<string, Found>({
    max: 1000,
    maxSize: limits.keptDocuments,
    maxEntrySize: limits.keptDocument,
    sizeCalculation: (_found, { length }) => length || 1,
  });

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { packageDirectory } from '../package-directory.js';
import type { Config } from './config.js';
import { ConfigError } from './env.js';

const TAKES =
  'a JSON object of documents under their SHA-256 in hex, as GraphQL Code Generator and relay-compiler write it';

/**
 * Reads the list of documents that front ends were built with: SHA-256 in hex → text. Empty where there is none and none is asked
 * for. Throws ConfigError for one that is missing, malformed, or keyed by other hashes.
 */
export async function readPersistedDocuments({
  only,
  file,
}: Config['persistedDocuments']): Promise<ReadonlyMap<string, string>> {
  const path = file ?? join(packageDirectory(), 'schema', 'persisted-documents.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'ENOENT' && file === undefined && !only) return new Map();
    const name = file === undefined ? 'PERSISTED_ONLY' : 'PERSISTED_DOCUMENTS';
    throw new ConfigError(`${name}: cannot read ${path} (${code}); it takes ${TAKES}`);
  }
  const documents = new Map<string, string>();
  for (const [key, document] of Object.entries(parse(text, path))) {
    const hash = createHash('sha256').update(document).digest('hex');
    // GraphQL Code Generator says before a hash which one it is.
    if (key !== hash && key !== `sha256:${hash}`) {
      throw new ConfigError(
        `PERSISTED_DOCUMENTS: ${path} has a document under ${JSON.stringify(key)}, which is not its SHA-256 in hex; in GraphQL Code Generator that is hashAlgorithm: 'sha256', in relay-compiler algorithm: 'SHA256'`,
      );
    }
    documents.set(hash, document);
  }
  return documents;
}

function parse(text: string, path: string): Record<string, string> {
  try {
    return z.record(z.string(), z.string()).parse(JSON.parse(text));
  } catch {
    throw new ConfigError(`PERSISTED_DOCUMENTS: ${path} is something else; it takes ${TAKES}`);
  }
}

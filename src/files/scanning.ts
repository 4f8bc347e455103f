import { ParleyError } from '../errors.js';
import { counts } from '../observability/counts.js';
import type { Clamd } from './clamd.js';

/** What a scanner found in a file. The client is told no more than that there is something. */
export class InfectedError extends ParleyError {
  constructor(
    /** The name of the signature. */
    readonly found: string,
  ) {
    super('FILE_INFECTED', 'The virus scanner found something in this file: it was not stored.');
  }
}

/**
 * The same bytes, each after the scanner has got it. Behind the last byte the
 * reader waits for the verdict: it comes to the end without an error only when these very bytes were scanned and found clean. Throws FILE_INFECTED
 * (InfectedError), FILE_TOO_LARGE for what the scanner gave up to look through, and UNAVAILABLE for whatever else it said, or did not say:
 * what was not scanned is never let through.
 */
export async function* scanned(
  clamd: Clamd,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const scan = clamd.scan();
  try {
    for await (const chunk of bytes) {
      // Nothing reads it any more when the reader has it, who may let go of its memory.
      await scan.take(chunk).catch(notScanned);
      yield chunk;
    }
    judge(await scan.verdict().catch(notScanned));
  } finally {
    scan.close();
  }
}

function judge(verdict: string): void {
  if (verdict === 'stream: OK') {
    counts.scans.clean += 1;
    return;
  }
  const found = /^stream: (.+) FOUND$/.exec(verdict)?.[1];
  if (found === undefined) notScanned(new Error(`clamd said ${JSON.stringify(verdict)}`));
  // Its name for a file that it did not look through to the end (AlertExceedsMax). It would say so again, so nobody is told to try again.
  if (found.startsWith('Heuristics.Limits.Exceeded')) {
    counts.scans.gave_up += 1;
    throw new ParleyError(
      'FILE_TOO_LARGE',
      'This file is too large or too deeply nested to be scanned for viruses.',
    );
  }
  counts.scans.infected += 1;
  throw new InfectedError(found);
}

function notScanned(cause: unknown): never {
  counts.scans.failed += 1;
  throw new ParleyError(
    'UNAVAILABLE',
    'The file cannot be scanned for viruses now: try again later.',
    {},
    { cause },
  );
}

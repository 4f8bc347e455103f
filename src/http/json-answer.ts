import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { ErrorCode } from '../errors.js';

/** What an answer in JSON says beside its type: no cache keeps it, and no browser takes it for anything else. */
export const JSON_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

/** Answers what is not GraphQL's: health, and requests that are refused before anyone reads them. */
export function answerJson(
  res: ServerResponse,
  status: number,
  body: object,
  headers: OutgoingHttpHeaders = {},
): void {
  const text = `${JSON.stringify(body)}\n`;
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...JSON_HEADERS,
    ...headers,
  });
  res.end(res.req.method === 'HEAD' ? undefined : text);
}

/** The body of an error that is not GraphQL's. */
export const errorBody = (code: ErrorCode, message: string): object => ({ code, message });

import { createHash } from 'node:crypto';
import type { Client } from './client.js';
import {
  at,
  createUpload,
  patch,
  picture,
  tusRequest,
  type Headers,
  type Session,
  type TusAnswer,
} from './resumable.js';

/** Bytes of an upload that a rule of tus is tried on. */
export const SIZE = 1000;
export const BYTES = picture(SIZE);
export const METHODS = 'OPTIONS, HEAD, PATCH, DELETE';
export const OFFSET_BYTES = 'application/offset+octet-stream';

/** A fresh upload of SIZE bytes, and how to ask about it. */
export interface Upload {
  readonly session: Session;
  readonly url: string;
  readonly token: string;
  ask(method: string, headers?: Headers, body?: Buffer): Promise<TusAnswer>;
  send(offset: number | string, bytes: Buffer, headers?: Headers): Promise<TusAnswer>;
  offset(): Promise<string>;
}

export type Rule = readonly [section: string, rule: string, check: (upload: Upload) => Promise<void>];

export async function beginUpload(client: Client, roomId: string): Promise<Upload> {
  const session = await createUpload(client, roomId, SIZE);
  const url = at(client.url, session);
  const token: string = session['token'].token;
  const ask: Upload['ask'] = (method, headers, body) => tusRequest(url, method, token, headers, body);
  return {
    session,
    url,
    token,
    ask,
    send: (offset, bytes, headers) => patch(url, token, offset, bytes, headers),
    offset: async () => String((await ask('HEAD')).headers['upload-offset']),
  };
}

export const without = (name: string): Headers => ({ [name]: undefined });

export const checksum = (algorithm: string, bytes: Buffer): Headers => ({
  'upload-checksum': `${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`,
});

export const codeOf = ({ body }: TusAnswer): unknown => (JSON.parse(body) as { code: unknown }).code;

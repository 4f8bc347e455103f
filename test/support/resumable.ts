import { createHash, randomBytes } from 'node:crypto';
import { request, type IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import * as tus from 'tus-js-client';
import type { Client } from './client.js';
import { eventually } from './deadline.js';
import { PNG } from './uploads.js';

/** A picture by its first bytes, of any size. */
export const picture = (size: number): Buffer => Buffer.concat([PNG, randomBytes(size - PNG.length)]);

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const SESSION = `id name size state offset url expiresAt token { token expiresAt } code message
  file { id name mimeType size sha256 url uploader { id } }`;

export const CREATE_UPLOAD = `mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { ${SESSION} } } }`;
const UPLOAD = `query ($id: ID!) { upload(id: $id) { ${SESSION} } }`;
export const CANCEL_UPLOAD = `mutation ($id: ID!) { cancelUpload(input: { uploadId: $id }) { cancelledUploadId } }`;

/** An upload, as its owner sees it. */
export type Session = Record<string, any>;

export async function createUpload(
  client: Client,
  roomId: string,
  size: number,
  more: object = {},
): Promise<Session> {
  const input = { roomId, name: 'soup.png', size, ...more };
  const { createUpload: payload } = await client.run(CREATE_UPLOAD, { input });
  return payload.upload;
}

export const uploadOf = async (client: Client, id: string): Promise<Session | null> =>
  (await client.run(UPLOAD, { id }))['upload'];

/** Resolves with the upload once it is neither received nor processed any more. */
export const ended = (client: Client, id: string): Promise<Session> =>
  eventually(30_000, `the end of ${id}`, async () => {
    const upload = await uploadOf(client, id);
    return upload !== null && !['RECEIVING', 'PROCESSING'].includes(upload['state']) && upload;
  });

export interface TusAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The address of an upload at one of several servers. */
export const at = (url: string, upload: Session): string => url + new URL(upload['url']).pathname;

/** Headers of a request; undefined for one that is not sent at all. */
export type Headers = Readonly<Record<string, string | undefined>>;

/** One request by the protocol, by hand. */
export async function tusRequest(
  url: string,
  method: string,
  token: string | undefined,
  headers: Headers = {},
  body?: Buffer | Readable,
): Promise<TusAnswer> {
  return new Promise((resolve, reject) => {
    const req = request(url, {
      method,
      agent: false,
      headers: sentOf({
        'tus-resumable': '1.0.0',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      }),
    });
    req.once('error', reject);
    req.once('response', (res) => {
      text(res).then((answer) => {
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: answer });
      }, reject);
    });
    if (body instanceof Readable) body.pipe(req);
    else req.end(body);
  });
}

const sentOf = (headers: Headers): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).filter((header): header is [string, string] => header[1] !== undefined),
  );

export const patch = (
  url: string,
  token: string | undefined,
  offset: number | string,
  body: Buffer | Readable,
  headers: Headers = {},
): Promise<TusAnswer> =>
  tusRequest(
    url,
    'PATCH',
    token,
    {
      'upload-offset': String(offset),
      'content-type': 'application/offset+octet-stream',
      ...(body instanceof Buffer && { 'content-length': String(body.length) }),
      ...headers,
    },
    body,
  );

/** The offset that the server says. */
export async function offsetOf(url: string, token: string): Promise<number> {
  const { status, headers, body } = await tusRequest(url, 'HEAD', token);
  if (status !== 200) throw new Error(`HEAD: ${status} ${body}`);
  return Number(headers['upload-offset']);
}

/** Sends an upload by tus-js-client. Rejects with its error. */
export function sendByTus(
  bytes: Buffer,
  url: string,
  token: string,
  options: Partial<tus.UploadOptions> = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(bytes, {
      uploadUrl: url,
      uploadSize: bytes.length,
      headers: { authorization: `Bearer ${token}` },
      retryDelays: null,
      storeFingerprintForResuming: false,
      ...options,
      onSuccess: () => {
        resolve();
      },
      onError: reject,
    });
    upload.start();
  });
}

/** Sends until so many bytes are on their way, then breaks off as a client does that loses its network. */
export function sendUntil(bytes: Buffer, url: string, token: string, cut: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(bytes, {
      uploadUrl: url,
      uploadSize: bytes.length,
      headers: { authorization: `Bearer ${token}` },
      retryDelays: null,
      storeFingerprintForResuming: false,
      onProgress: (sent) => {
        if (sent >= cut) upload.abort().then(resolve, reject);
      },
      onSuccess: () => {
        resolve();
      },
      onError: reject,
    });
    upload.start();
  });
}

/** A request that announces `length` bytes, sends some, and falls silent. */
export function hang(
  url: string,
  token: string,
  bytes: Buffer,
  length: number,
): { sent: () => boolean; over: Promise<void> } {
  const req = request(url, {
    method: 'PATCH',
    agent: false,
    headers: {
      'tus-resumable': '1.0.0',
      authorization: `Bearer ${token}`,
      'content-type': 'application/offset+octet-stream',
      'upload-offset': '0',
      'content-length': String(length),
    },
  });
  let isSent = false;
  const over = new Promise<void>((resolve) => {
    req.once('response', (res) => {
      res.resume();
      res.once('end', resolve);
    });
    req.once('error', () => {
      resolve();
    });
  });
  req.write(bytes, () => (isSent = true));
  return { sent: () => isSent, over };
}

import { Server, type Lock } from '@tus/server';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { chunksOf } from '../files/chunks.js';
import { CHECKSUM_ALGORITHMS, UploadChecksum } from '../files/resumable/upload-checksum.js';
import type { UploadLock, UploadLocks } from '../files/resumable/upload-locks.js';
import { SaidError, UploadStore, type StoreDeps } from '../files/resumable/upload-store.js';
import type { UploadTokens } from '../files/resumable/upload-tokens.js';
import { parseId } from '../graphql/ids.js';
import type { Logger } from '../observability/logger.js';
import { isEncoded } from './content-type.js';
import { valueOf } from './header-values.js';
import { discardRest } from './multipart-rest.js';
import type { Origins } from './origins.js';
import { pathOf } from './request-log.js';
import { refused, said, saidOf } from './tus-answers.js';

export interface ResumableDeps extends StoreDeps {
  readonly locks: UploadLocks;
  readonly tokens: UploadTokens;
  /** Bytes of the largest file. */
  readonly maxBytes: number;
  readonly origins: Origins;
  readonly logger: Logger;
}

const PATH = '/uploads';
const VERSION = '1.0.0';
const EXPOSED = ['Upload-Expires', 'Tus-Checksum-Algorithm', 'X-Request-Id'];
const METHODS = ['OPTIONS', 'HEAD', 'PATCH', 'DELETE'];
/** Milliseconds without a byte after which a request is taken for dead. */
const IDLE_MS = 120_000;
/** Milliseconds that a request which is to let go may still write what it has. */
const LET_GO_MS = 500;

/** Whether it is the body of a resumable upload, which may take as long as it likes while its bytes flow. */
export const isUploadBody = (req: IncomingMessage): boolean =>
  req.url?.startsWith(`${PATH}/`) === true && isBytes(req);

const BYTES = 'application/offset+octet-stream';

const isBytes = ({ headers }: IncomingMessage): boolean =>
  valueOf(headers['content-type'] ?? '') === BYTES && !isEncoded({ headers });

/** Answers `/uploads/…`. */
export interface ResumableUploads {
  /** False at once where the address is not its own. */
  handle(req: IncomingMessage, res: ServerResponse): boolean;
  /** Resolves when nothing is being written any more. */
  idle(): Promise<void>;
}

/**
 * Uploads over several requests by tus 1.0 (https://tus.io/protocols/resumable-upload), which @tus/server speaks. Each request bears the token of its
 * upload. Uploads are made by the mutation createUpload alone, so POST is refused.
 */
export function createResumableUploads(deps: ResumableDeps): ResumableUploads {
  const underWay = new Set<Promise<void>>();
  return {
    handle: (req, res) => {
      const path = pathOf(req);
      if (path !== PATH && !path.startsWith(`${PATH}/`)) return false;
      const answering = answer(deps, req, res, path)
        .catch((err: unknown) => {
          deps.logger.error({ err }, 'a request of a resumable upload failed');
          res.destroy();
        })
        .finally(() => underWay.delete(answering));
      underWay.add(answering);
      return true;
    },
    idle: async () => {
      await Promise.all(underWay);
    },
  };
}

async function answer(
  deps: ResumableDeps,
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
): Promise<void> {
  const method = methodOf(req);
  const said = refusalOf(req, method) ?? (await byTus(deps, { req, res }, path, method));
  if (res.destroyed) return;
  const { headers } = said;
  const { origin } = req.headers;
  if (origin !== undefined && deps.origins.lists(origin)) {
    headers.set('Access-Control-Allow-Origin', origin);
    if (!headers.has('Access-Control-Expose-Headers'))
      headers.set('Access-Control-Expose-Headers', EXPOSED.join(', '));
  } else if (origin !== undefined && deps.origins.isForeign(req)) deps.origins.tellRefused(req);
  headers.set('Tus-Resumable', VERSION);
  headers.set('Cache-Control', 'no-store');
  headers.append('Vary', 'Origin');
  if (method === 'OPTIONS') {
    headers.set('Access-Control-Allow-Methods', METHODS.join(', '));
    headers.set('Tus-Checksum-Algorithm', CHECKSUM_ALGORITHMS.join(','));
  }
  if (said.status === 401) headers.set('WWW-Authenticate', 'Bearer');
  const body = Buffer.from(await said.arrayBuffer());
  if (body.length > 0) headers.set('Content-Type', body[0] === 0x7b ? 'application/json' : 'text/plain');
  const sent = method === 'HEAD' ? Buffer.alloc(0) : body;
  // Of a method that is only meant the client counts what comes.
  const { length } = req.method === 'HEAD' ? body : sent;
  if (said.status !== 204) headers.set('Content-Length', String(length));
  discardRest(req, res);
  res.writeHead(said.status, [...headers].flat());
  res.end(sent);
}

/** Clients that cannot send every method say by this header what they mean: then nothing else counts (tus 1.0, X-HTTP-Method-Override). */
function methodOf({ method = '', headers }: IncomingMessage): string {
  const meant = headers['x-http-method-override'];
  return typeof meant === 'string' && meant !== '' ? meant.trim().toUpperCase() : method;
}

/** What the library would answer otherwise than the protocol or this server has it. */
function refusalOf({ headers }: IncomingMessage, method: string): Response | undefined {
  if (!METHODS.includes(method)) {
    const answer = refused(
      405,
      'BAD_REQUEST',
      'Create uploads with the mutation createUpload, and send their bytes here with PATCH.',
    );
    answer.headers.set('Allow', METHODS.join(', '));
    return answer;
  }
  if (method !== 'OPTIONS' && headers['tus-resumable'] !== VERSION) {
    const answer = refused(412, 'BAD_REQUEST', `Tus-Resumable must be ${VERSION}.`);
    answer.headers.set('Tus-Version', VERSION);
    return answer;
  }
  return undefined;
}

async function byTus(
  deps: ResumableDeps,
  { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
  path: string,
  method: string,
): Promise<Response> {
  const header = req.headers['upload-checksum'];
  const checksum = typeof header === 'string' ? UploadChecksum.parse(header) : undefined;
  if (header !== undefined && checksum === undefined)
    return refused(
      400,
      'BAD_REQUEST',
      `Upload-Checksum must be one of ${CHECKSUM_ALGORITHMS.join(', ')}, a space, and the checksum in Base64.`,
    );
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  const lock = new RequestLock(deps.locks, gone.signal);
  const store = new UploadStore(deps, () => lock.held, checksum);
  lock.waitsFor(store);
  let admitted: string | undefined;
  const server = new Server({
    path: PATH,
    datastore: store,
    locker: { newLock: (id) => lock.of(id) },
    lockDrainTimeout: LET_GO_MS,
    maxSize: deps.maxBytes,
    allowedOrigins: (origin) => deps.origins.lists(origin),
    allowedHeaders: ['Upload-Checksum'],
    exposedHeaders: EXPOSED.slice(),
    getFileIdFromRequest: ({ url }) => idOf(new URL(url).pathname),
    onIncomingRequest: (request, id) => {
      admit(deps.tokens, request.headers.get('authorization'), id);
      admitted = id;
      if (method === 'PATCH' && !isBytes(req)) throw new SaidError(WRONG_TYPE);
      return Promise.resolve();
    },
    onResponseError: (_request, error) => saidOf(deps.logger, error),
  });
  if (method === 'PATCH') req.setTimeout(IDLE_MS);
  const chunks = chunksOf(req);
  const response = await server.handleWeb(
    new Request(`http://localhost${path}`, {
      method,
      headers: headersFor(req, method) as never,
      ...(method === 'PATCH' && { body: bodyOf(chunks), duplex: 'half' }),
    }),
  );
  if (response.headers.has('Upload-Expires') && store.expiresAt !== undefined)
    response.headers.set('Upload-Expires', store.expiresAt.toUTCString());
  // What is left of the body is not the library's any more, which lets go of nothing.
  void chunks.return().catch(() => undefined);
  // The protocol wants it in every answer to a PATCH; the library says it where all went well.
  if (method === 'PATCH' && response.status >= 400 && admitted !== undefined) {
    const expires = await store.expiryOf(admitted);
    if (expires !== undefined) response.headers.set('Upload-Expires', expires.toUTCString());
  }
  return response;
}

/** The headers for the library: it looks at the type before it looks who asks, and reads the method from the request that it is given. */
function headersFor(
  { headersDistinct }: IncomingMessage,
  method: string,
): Record<string, string[] | undefined> {
  const { 'x-http-method-override': _override, ...headers } = headersDistinct;
  return { ...headers, ...(method === 'PATCH' && { 'content-type': [BYTES] }) };
}

const WRONG_TYPE = said(
  415,
  'BAD_REQUEST',
  `Send the bytes with \`Content-Type: ${BYTES}\`, and as they are, without \`Content-Encoding\`.`,
);

/** The UUID of the upload that a path names. */
function idOf(path: string): string | undefined {
  const parsed = parseId(path.slice(PATH.length + 1));
  return parsed?.type === 'UploadSession' ? parsed.id : undefined;
}

/** Throws what the client is told unless it brings the token of the upload. */
function admit(tokens: UploadTokens, header: string | null, id: string): void {
  const [, token] = /^Bearer +(\S+)$/i.exec(header ?? '') ?? [];
  const named = token === undefined ? undefined : tokens.verify(token);
  if (named === undefined) {
    throw new SaidError(
      said(
        401,
        'UNAUTHENTICATED',
        'Send the token of this upload as `Authorization: Bearer …`: the query `upload` returns a fresh one.',
      ),
    );
  }
  if (named !== id) throw new SaidError(said(403, 'FORBIDDEN', 'This token is for another upload.'));
}

/** The body, of which nothing is read before it is asked for: what is refused at once is not read. */
function bodyOf(chunks: AsyncGenerator<Uint8Array, void, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The lock of one request, as the library takes and returns it. */
class RequestLock {
  private lock: UploadLock | undefined;
  private store: UploadStore | undefined;

  /** `gone`: aborted when nobody waits for the answer any more. */
  constructor(
    private readonly locks: UploadLocks,
    private readonly gone: AbortSignal,
  ) {}

  /** It is returned only once this one writes no more. */
  waitsFor(store: UploadStore): void {
    this.store = store;
  }

  get held(): UploadLock {
    if (this.lock === undefined) throw new Error('an upload is written without its lock');
    return this.lock;
  }

  of(id: string): Lock {
    return {
      lock: async (signal, letGo) => {
        const either = AbortSignal.any([signal, this.gone]);
        this.lock = await this.locks.acquire(id, () => void letGo(), either);
      },
      unlock: async () => {
        await this.store?.settled();
        // Where this fails, it runs out.
        await this.lock?.release().catch(() => undefined);
      },
    };
  }
}

import { transaction, type Database } from '../../db/database.js';
import { ParleyError } from '../../errors.js';
import type { JobKind } from '../../jobs/job-runner.js';
import { untilAborted } from '../chunks.js';
import type { FileUploads } from '../file-uploads.js';
import { incomplete, type ArrivedFile } from '../incoming-file.js';
import type { LeaseSweeper } from '../lease-sweeper.js';
import { MissingBytesError, type Receiver } from '../storage/receiver.js';
import { takeIn, takeOver, type Decided, type StoredFile, type UploadDeps } from '../uploads.js';
import { endUpload, findUpload, partsOf, UPLOAD_JOB, type FoundUpload } from './upload-sessions.queries.js';

export interface UploadJobDeps extends UploadDeps {
  readonly db: Database;
  readonly receiver: Receiver;
  readonly uploads: FileUploads;
  readonly sweeper: LeaseSweeper;
}

/** Uploads that one process finishes together, and those of one user: each reads all bytes of a file. */
const AT_ONCE = 3;
const PER_OWNER = 2;
/** About two days of trying. */
const ATTEMPTS = 300;

/**
 * Finishes uploads whose last byte has arrived, as any other upload is: join → sniff → hash → one transaction with row, event, and what
 * became of the upload. What is refused leaves no bytes, and its reason. Any process does it, again after a crash between any two steps.
 */
export const uploadJob = (deps: UploadJobDeps): JobKind => ({
  kind: UPLOAD_JOB,
  atOnce: AT_ONCE,
  perOwner: PER_OWNER,
  attempts: ATTEMPTS,
  run: async (id, signal) => {
    const upload = await findUpload(deps.db, id);
    if (upload?.state !== 'PROCESSING') return;
    try {
      await finish(deps, upload, signal);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined || signal.aborted) throw error;
      await refuse(deps, id, refusal);
    }
    deps.sweeper.sweepSoon();
  },
  giveUp: async (id) => {
    await refuse(deps, id, {
      code: 'UNAVAILABLE',
      message: 'The server could not finish this upload: send the file again.',
    });
    deps.sweeper.sweepSoon();
  },
});

async function finish(deps: UploadJobDeps, upload: FoundUpload, signal: AbortSignal): Promise<void> {
  const { db, receiver, storage, uploads } = deps;
  const parts = await partsOf(db, upload.id);
  const { id, size } = upload;
  const owners = { userId: upload.user_id, roomId: upload.room_id };
  const show = (stored: StoredFile): Promise<Decided<unknown>> => {
    signal.throwIfAborted();
    if (stored.size !== size) throw new MissingBytesError(`${String(stored.size)} of ${String(size)} bytes`);
    return uploads.show(upload.user_id, upload.room_id, stored, undefined, {
      id,
      record: async (trx, { fileId }) => {
        // Two processes may be at it, where one was taken for dead.
        if (!(await endUpload(trx, id, { state: 'DONE', file_id: fileId }))) throw new EndedError();
      },
    });
  };
  const fileOf = (bytes: AsyncIterable<Uint8Array>): ArrivedFile => ({
    name: upload.name,
    claimedType: upload.claimed_type,
    bytes: untilAborted(bytes, signal),
  });
  try {
    const key = await receiver.join(upload, parts);
    if (key === undefined) {
      await takeIn(deps, owners, fileOf(receiver.read(parts)), show);
      return;
    }
    const bytes = await storage.read(key);
    if (bytes === undefined) throw new MissingBytesError(`the bytes under ${key} are missing`);
    // Clients have addresses of a direct upload, and some servers take parts by them behind its completion: a file gets a key that nobody knows.
    if (upload.is_direct) await takeIn(deps, owners, fileOf(bytes), show);
    else await takeOver(deps, owners, key, fileOf(bytes), show);
  } catch (error) {
    if (!(error instanceof EndedError)) throw error;
  }
}

/** What the client is told; undefined for what is worth another try. */
function refusalOf(error: unknown): ParleyError | undefined {
  if (error instanceof MissingBytesError)
    return incomplete('The bytes in storage are not those that were announced: send the file again.', error);
  // Too many at once, or a part of the server away: both pass.
  const passes = error instanceof ParleyError && ['UNAVAILABLE', 'RATE_LIMITED'].includes(error.code);
  return error instanceof ParleyError && !passes ? error : undefined;
}

const refuse = (
  { db }: UploadJobDeps,
  id: string,
  { code, message }: Pick<ParleyError, 'code' | 'message'>,
): Promise<boolean> => transaction(db, (trx) => endUpload(trx, id, { state: 'REFUSED', code, message }));

/** Another process has finished the upload. */
class EndedError extends Error {
  override readonly name = 'EndedError';
}

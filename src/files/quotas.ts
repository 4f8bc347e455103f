import type { Database, Trx } from '../db/database.js';
import { ParleyError } from '../errors.js';
import { addUsed, announcedBytes, usedBytes, type Counted } from './usage.queries.js';

/** Bytes that the files of each user, and those in each room, may have together; undefined: any number. */
export interface Quotas {
  readonly userBytes: number | undefined;
  readonly roomBytes: number | undefined;
}

/** Whose file it is, and where. */
export interface Owners {
  readonly userId: string;
  readonly roomId: string;
}

/** How many more bytes fit, as far as can be told before a file is there, and the refusal of more. */
export interface Allowance {
  readonly bytes: number;
  readonly refusal: ParleyError;
}

/**
 * What fits now, beside the files that are there and the uploads over several requests that are open. Under the locks of the user's usage and of the room
 * it holds until they are let go; otherwise it is a guess in favour of the file, and `charge` decides.
 */
export async function allowanceFor(
  db: Database | Trx,
  { userBytes = Infinity, roomBytes = Infinity }: Quotas,
  owners: Owners,
): Promise<Allowance> {
  if (userBytes === Infinity && roomBytes === Infinity) return { bytes: Infinity, refusal: full('users', 0) };
  const used = await usedBytes(db, owners);
  const announced = await announcedBytes(db, owners);
  const [user, room] = [userBytes - used.users - announced.users, roomBytes - used.rooms - announced.rooms];
  return user < room
    ? { bytes: user, refusal: full('users', userBytes) }
    : { bytes: room, refusal: full('rooms', roomBytes) };
}

/** The same bytes, as far as they fit: throws QUOTA_EXCEEDED at the first chunk that does not. */
export async function* fitting(
  bytes: AsyncIterable<Uint8Array>,
  allowance: Allowance,
): AsyncGenerator<Uint8Array, void, undefined> {
  let seen = 0;
  for await (const chunk of bytes) {
    seen += chunk.length;
    if (seen > allowance.bytes) throw allowance.refusal;
    yield chunk;
  }
}

/**
 * Counts a file in the transaction that stores it, which holds the locks of the user's usage and then of the room. Throws QUOTA_EXCEEDED when it does not
 * fit, exactly: however many come at once, over however many processes. `uploadId`: the upload over several requests that it came by, whose announced
 * size makes way for it.
 */
export async function charge(
  trx: Trx,
  { userBytes, roomBytes }: Quotas,
  owners: Owners,
  size: number,
  uploadId?: string,
): Promise<void> {
  const { userId, roomId } = owners;
  const isLimited = userBytes !== undefined || roomBytes !== undefined;
  const announced = isLimited ? await announcedBytes(trx, owners, uploadId) : { users: 0, rooms: 0 };
  if (!(await addUsed(trx, 'users', userId, size, userBytes && userBytes - announced.users)))
    throw full('users', userBytes);
  if (!(await addUsed(trx, 'rooms', roomId, size, roomBytes && roomBytes - announced.rooms)))
    throw full('rooms', roomBytes);
}

/** Counts a file no more, under the same locks, in the transaction that deletes it. */
export async function discharge(trx: Trx, { userId, roomId }: Owners, size: number): Promise<void> {
  await addUsed(trx, 'users', userId, -size);
  await addUsed(trx, 'rooms', roomId, -size);
}

const WHOSE: Record<Counted, string> = {
  users: 'Your files and open uploads',
  rooms: 'The files of this room and the open uploads to it',
};

const full = (whose: Counted, most = 0): ParleyError =>
  new ParleyError(
    'QUOTA_EXCEEDED',
    `${WHOSE[whose]} can take up at most ${String(most)} bytes of storage together: delete or cancel some first.`,
  );

import type { FileRow, RoomRole } from '../db/tables.js';
import { canModerate, canRead } from '../rooms/rooms.policy.js';

/** Who may do what with a file of a room. A role of undefined: no member. */

/** The uploader, as long as they are a member; owners and moderators. */
export const canDelete = (
  file: Pick<FileRow, 'uploader_id'>,
  userId: string,
  role: RoomRole | undefined,
): boolean => canRead(role) && (file.uploader_id === userId || canModerate(role));

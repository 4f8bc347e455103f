import type { MessageRow, RoomRole } from '../db/tables.js';
import { canModerate, canWrite } from '../rooms/rooms.policy.js';

/** Authors edit what they wrote, while they are members. */
export const canEdit = (
  message: Pick<MessageRow, 'author_id'>,
  userId: string,
  role: RoomRole | undefined,
): boolean => canWrite(role) && message.author_id === userId;

/** Authors and those who moderate delete. */
export const canDelete = (
  message: Pick<MessageRow, 'author_id'>,
  userId: string,
  role: RoomRole | undefined,
): boolean => canEdit(message, userId, role) || canModerate(role);

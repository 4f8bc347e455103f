import type { RoomRole, RoomRow } from '../db/tables.js';

/** Who may do what in a room. A role of undefined: signed in, but no member. */

export const canSee = (room: Pick<RoomRow, 'visibility'>, role: RoomRole | undefined): boolean =>
  room.visibility === 'PUBLIC' || role !== undefined;

/** Members, messages, files and events. */
export const canRead = (role: RoomRole | undefined): role is RoomRole => role !== undefined;

export const canWrite = canRead;

/** Owners add with any role, moderators add plain members. */
export const canAdd = (role: RoomRole | undefined, newRole: RoomRole): boolean =>
  role === 'OWNER' || (role === 'MODERATOR' && newRole === 'MEMBER');

export const canDeleteRoom = (role: RoomRole | undefined): boolean => role === 'OWNER';

export const canChangeRoles = (role: RoomRole | undefined): boolean => role === 'OWNER';

/** Owners remove anyone, moderators plain members. */
export const canRemove = (role: RoomRole | undefined, theirs: RoomRole): boolean =>
  role === 'OWNER' || (role === 'MODERATOR' && theirs === 'MEMBER');

/** Others' messages and files. */
export const canModerate = (role: RoomRole | undefined): boolean => role === 'OWNER' || role === 'MODERATOR';

import { describe, expect, test } from 'vitest';
import type { RoomRole } from '../db/tables.js';
import {
  canAdd,
  canChangeRoles,
  canDeleteRoom,
  canModerate,
  canRead,
  canRemove,
  canSee,
  canWrite,
} from './rooms.policy.js';

const ROLES: readonly (RoomRole | undefined)[] = [undefined, 'MEMBER', 'MODERATOR', 'OWNER'];
const allowed = (rule: (role: RoomRole | undefined) => boolean): string =>
  ROLES.filter(rule)
    .map((role) => role ?? 'nobody')
    .join(' ');

describe('In a room', () => {
  test.each([
    [
      'see a public one',
      (role: RoomRole | undefined) => canSee({ visibility: 'PUBLIC' }, role),
      'nobody MEMBER MODERATOR OWNER',
    ],
    [
      'see a private one',
      (role: RoomRole | undefined) => canSee({ visibility: 'PRIVATE' }, role),
      'MEMBER MODERATOR OWNER',
    ],
    ['read', canRead, 'MEMBER MODERATOR OWNER'],
    ['write', canWrite, 'MEMBER MODERATOR OWNER'],
    ['moderate', canModerate, 'MODERATOR OWNER'],
    ['change roles', canChangeRoles, 'OWNER'],
    ['delete it', canDeleteRoom, 'OWNER'],
  ])('these can %s', (_what, rule, who) => {
    expect(allowed(rule)).toBe(who);
  });

  test.each([
    ['MEMBER', 'MODERATOR OWNER'],
    ['MODERATOR', 'OWNER'],
    ['OWNER', 'OWNER'],
  ] as const)('a %s is added, and removed, by these', (role, who) => {
    expect(allowed((actor) => canAdd(actor, role))).toBe(who);
    expect(allowed((actor) => canRemove(actor, role))).toBe(who);
  });
});

import { describe, expect, test } from 'vitest';
import type { RoomRole } from '../db/tables.js';
import { canDelete, canEdit } from './messages.policy.js';

const ROLES: readonly (RoomRole | undefined)[] = [undefined, 'MEMBER', 'MODERATOR', 'OWNER'];
const message = { author_id: 'author' };
const allowed = (rule: typeof canEdit, userId: string): string =>
  ROLES.filter((role) => rule(message, userId, role))
    .map((role) => role ?? 'nobody')
    .join(' ');

describe('A message', () => {
  test('is edited by its author alone, while they are a member', () => {
    expect(allowed(canEdit, 'author')).toBe('MEMBER MODERATOR OWNER');
    expect(allowed(canEdit, 'someone')).toBe('');
  });

  test('is deleted by its author, and by those who moderate', () => {
    expect(allowed(canDelete, 'author')).toBe('MEMBER MODERATOR OWNER');
    expect(allowed(canDelete, 'someone')).toBe('MODERATOR OWNER');
  });
});

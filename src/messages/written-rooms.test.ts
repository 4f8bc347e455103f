import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RoomWithRoles } from '../rooms/rooms.queries.js';
import type { Post } from './post-decisions.js';
import { WrittenRooms } from './written-rooms.js';

const post: Post = {
  actorId: 'ada',
  input: { roomId: 'room', body: 'text', replyToId: null, fileIds: [], idempotencyKey: null },
};
const readAt = (seq: number): RoomWithRoles => ({
  room: { id: 'room', visibility: 'PUBLIC', last_seq: seq, last_tag: String(seq), member_count: 1 },
  roles: new Map([['ada', 'MEMBER']]),
  users: new Map([['ada', { id: 'ada', handle: 'ada', name: 'Ada', created_at: new Date(0) }]]),
});
const head = (seq: number): { seq: number; tag: string } => ({ seq, tag: String(seq) });

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

test.each([100, 1000, 4999])(
  'What is known of a room counts for five seconds, however it is written in: every %d ms',
  (pause) => {
    const rooms = new WrittenRooms();
    rooms.wrote(readAt(1), head(2), performance.now());
    expect(rooms.of('room', [post])).toBeUndefined();
    rooms.wrote(readAt(2), head(3), performance.now());
    let seq = 3;
    const begun = performance.now();
    for (;;) {
      const found = rooms.of('room', [post]);
      if (found === undefined) break;
      expect(performance.now() - begun).toBeLessThan(5000);
      expect(found.room.last_seq).toBe(seq);
      // The answer comes when it may be too old already.
      vi.advanceTimersByTime(pause);
      rooms.wrote(found, head(++seq), undefined);
    }
    expect(performance.now() - begun).toBeGreaterThanOrEqual(5000);
    rooms.wrote(readAt(seq), head(seq + 1), performance.now());
    expect(rooms.of('room', [post])?.room.last_seq).toBe(seq + 1);
  },
);

test('A room that many write in is read again for some of them, and never believed longer', () => {
  const rooms = new WrittenRooms();
  const of = (seq: number, user: string): RoomWithRoles => ({
    ...readAt(seq),
    roles: new Map([[user, 'MEMBER']]),
    users: new Map([[user, { id: user, handle: user, name: user, created_at: new Date(0) }]]),
  });
  for (let seq = 1; seq < 1000; seq++) {
    rooms.wrote(of(seq, `user ${String(seq)}`), head(seq + 1), performance.now());
    vi.advanceTimersByTime(1);
  }
  const known = (seq: number): boolean =>
    rooms.of('room', [{ ...post, actorId: `user ${String(seq)}` }]) !== undefined;
  expect(known(999)).toBe(true);
  expect(Array.from({ length: 1000 }, (_, seq) => known(seq)).filter(Boolean).length).toBeLessThanOrEqual(
    257,
  );
});

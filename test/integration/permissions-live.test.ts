import type { Client as WsClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { Client, signUp, type Variables } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe, type Feed } from '../support/live.js';
import { fieldsOf, selectionOfRoot } from '../support/selection.js';

const ROLES = ['signed out', 'stranger', 'member', 'moderator', 'owner'] as const;
type Role = (typeof ROLES)[number];

/** Who may follow what, in the words of the contract. `data`: events come. Anything else: the code it ends with. */
const TABLE = `
                 room     signed out       stranger    member      moderator   owner
roomEvents       public   UNAUTHENTICATED  FORBIDDEN   data        data        data
roomEvents       private  UNAUTHENTICATED  NOT_FOUND   data        data        data
messageAdded     public   UNAUTHENTICATED  FORBIDDEN   data        data        data
messageAdded     private  UNAUTHENTICATED  NOT_FOUND   data        data        data
fileAdded        public   UNAUTHENTICATED  FORBIDDEN   data        data        data
fileAdded        private  UNAUTHENTICATED  NOT_FOUND   data        data        data
typing           public   UNAUTHENTICATED  FORBIDDEN   data        data        data
typing           private  UNAUTHENTICATED  NOT_FOUND   data        data        data
`;

const rows = TABLE.split('\n')
  .slice(2)
  .filter((line) => line.trim() !== '')
  .map((line) => {
    const [name = '', room, ...outcomes] = line.trim().split(/ {2,}/);
    const expected = Object.fromEntries(ROLES.map((role, i) => [role, outcomes[i]])) as Record<Role, string>;
    return { name, visibility: room === 'private' ? ('PRIVATE' as const) : ('PUBLIC' as const), expected };
  });

const NAMES = [...new Set(rows.map(({ name }) => name))];

test('The table of permissions covers every subscription', () => {
  expect(NAMES.sort()).toEqual(
    fieldsOf('Subscription')
      .map(({ name }) => name)
      .sort(),
  );
});

/** The subscription with everything that it answers. */
const documentOf = (name: string): string => {
  const after = name === 'typing' ? ['', ''] : ['$after: String', 'after: $after'];
  return `subscription ($roomId: ID!, ${after[0] ?? ''}) { ${name}(roomId: $roomId, ${after[1] ?? ''}) ${selectionOfRoot('Subscription', name, 2)} }`;
};

describe.each(backends)('Rights to follow a room on %s', (backend) => {
  let app: App;
  let people: Record<Role, Client>;
  const sockets = new Map<Client, WsClient>();

  beforeAll(async () => {
    app = await startParley(backend);
    const [stranger, member, moderator, owner] = await Promise.all(
      Array.from({ length: 4 }, () => signUp(app.url)),
    );
    people = {
      'signed out': new Client(app.url),
      stranger: stranger!,
      member: member!,
      moderator: moderator!,
      owner: owner!,
    };
    for (const who of Object.values(people)) sockets.set(who, live(who, { lazy: false }));
  });
  afterAll(async () => {
    for (const socket of sockets.values()) await socket.dispose();
    await app[Symbol.asyncDispose]();
  });

  const follow = (who: Client, name: string, variables: Variables): Feed =>
    subscribe(sockets.get(who)!, documentOf(name), variables);

  const add = (roomId: string, who: Client, role = 'MEMBER'): Promise<unknown> =>
    people.owner.run(`mutation ($input: AddMemberInput!) { addMember(input: $input) { eventCursor } }`, {
      input: { roomId, userId: who.userId, role },
    });

  const remove = (roomId: string, who: Client): Promise<unknown> =>
    people.owner.run(
      `mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { eventCursor } }`,
      {
        input: { roomId, userId: who.userId },
      },
    );

  async function makeRoom(visibility: 'PUBLIC' | 'PRIVATE'): Promise<string> {
    const roomId = await people.owner.createRoom(visibility);
    await add(roomId, people.member);
    await add(roomId, people.moderator, 'MODERATOR');
    return roomId;
  }

  const headOf = async (roomId: string): Promise<string> => {
    const { room } = await people.owner.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, {
      id: roomId,
    });
    return room.eventCursor as string;
  };

  /** Something that each of the subscriptions tells of. */
  async function happen(roomId: string): Promise<void> {
    await people.owner.post(roomId, 'hello');
    await people.owner.upload(roomId, 'notes.txt', 'some text');
  }

  /** Types and stops until `seen`: typing is for those who are there, so whoever has just come may miss the first one. */
  const typeUntil = (roomId: string, seen: () => boolean): Promise<unknown> =>
    eventually(10_000, 'typing is seen', async () => {
      for (const typing of [true, false]) {
        await people.owner.run(
          `mutation ($input: SetTypingInput!) { setTyping(input: $input) { expiresAt } }`,
          {
            input: { roomId, typing },
          },
        );
      }
      return seen();
    });

  test.each(rows)('$name in a $visibility room', async ({ name, visibility, expected }) => {
    const roomId = await makeRoom(visibility);
    const after = await headOf(roomId);
    const feeds = ROLES.map((role) => ({
      role,
      feed: follow(people[role], name, name === 'typing' ? { roomId } : { roomId, after }),
    }));
    const settled = ({ feed }: (typeof feeds)[number]): boolean => feed.results.length > 0 || feed.isOver;
    await happen(roomId);
    if (name === 'typing') await typeUntil(roomId, () => feeds.every(settled));
    await eventually(10_000, 'an event or an end for each', () => feeds.every(settled));

    const found = Object.fromEntries(
      feeds.map(({ role, feed: { results, codes } }) => {
        expect(results.flatMap(({ errors = [] }) => errors)).toEqual([]);
        return [role, results.length > 0 ? 'data' : codes.join()];
      }),
    );
    expect(found).toEqual(expected);
    for (const { feed } of feeds) feed.stop();
  });

  test('one who is removed is cut off everywhere at once, and is told nothing of it or after it', async () => {
    const roomId = await makeRoom('PUBLIC');
    const after = await headOf(roomId);
    const feeds = NAMES.map((name) => ({
      name,
      feed: follow(people.member, name, name === 'typing' ? { roomId } : { roomId, after }),
    }));
    const theirs = follow(people.moderator, 'roomEvents', { roomId, after });
    await theirs.take(1, 'roomEvents');
    await happen(roomId);
    await typeUntil(roomId, () => feeds.every(({ feed }) => feed.results.length > 0));
    await feeds.find(({ name }) => name === 'roomEvents')!.feed.take(3, 'roomEvents');

    await remove(roomId, people.member);
    for (const { feed } of feeds) await feed.end();
    const seen = feeds.map(({ name, feed }) => ({ name, codes: feed.codes, count: feed.results.length }));
    for (const { codes } of seen) expect(codes).toEqual(['FORBIDDEN']);
    await happen(roomId);
    await typeUntil(roomId, () => true);

    // The others have been told of all that came after; so would they have been.
    const events = await theirs.take(6, 'roomEvents');
    const kinds = events.map(({ __typename }) => __typename);
    expect(kinds).toEqual([
      'Checkpoint',
      'MessageAdded',
      'FileAdded',
      'MemberLeft',
      'MessageAdded',
      'FileAdded',
    ]);
    expect(feeds.map(({ name, feed }) => ({ name, codes: feed.codes, count: feed.results.length }))).toEqual(
      seen,
    );
    const [roomEvents] = feeds.filter(({ name }) => name === 'roomEvents');
    expect(roomEvents!.feed.results.map((data) => data.roomEvents.__typename)).not.toContain('MemberLeft');
    theirs.stop();
  });

  test('one who leaves by themselves is cut off too, and may come back', async () => {
    const roomId = await makeRoom('PUBLIC');
    const feed = follow(people.member, 'roomEvents', { roomId });
    await feed.take(1, 'roomEvents');
    await people.member.run(`mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { roomId } }`, {
      input: { roomId },
    });
    await feed.end();
    expect(feed.codes).toEqual(['FORBIDDEN']);
    await people.member.join(roomId);
    const again = follow(people.member, 'roomEvents', { roomId });
    await again.take(1, 'roomEvents');
    again.stop();
  });

  test('one who was removed comes back only when they are added, and then follows what they missed', async () => {
    const roomId = await makeRoom('PUBLIC');
    const after = await headOf(roomId);
    await remove(roomId, people.member);
    const join = `mutation ($roomId: ID!) { joinRoom(input: { roomId: $roomId }) { member { id } } }`;
    expect(await people.member.refusal(join, { roomId })).toBe('FORBIDDEN');
    const early = follow(people.member, 'roomEvents', { roomId, after });
    await early.end();
    expect(early.codes).toEqual(['FORBIDDEN']);

    await add(roomId, people.member);
    await people.owner.post(roomId, 'welcome back');
    // Their own departure is in the replay, and ends nothing.
    const feed = follow(people.member, 'roomEvents', { roomId, after });
    const events = await feed.take(4, 'roomEvents');
    expect(events.map(({ __typename }) => __typename)).toEqual([
      'MemberLeft',
      'MemberJoined',
      'MessageAdded',
      'Checkpoint',
    ]);
    await people.owner.post(roomId, 'and live');
    const all = await feed.take(5, 'roomEvents');
    expect(all[4]).toMatchObject({ __typename: 'MessageAdded', message: { body: 'and live' } });
    feed.stop();

    // The removal is forgotten with that: whoever leaves then may join again.
    await people.member.run(`mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { roomId } }`, {
      input: { roomId },
    });
    await people.member.join(roomId);
  });

  test('the subscriptions of the other rooms go on on the same socket', async () => {
    const [roomId, other] = [await makeRoom('PUBLIC'), await makeRoom('PRIVATE')];
    const feed = follow(people.member, 'roomEvents', { roomId });
    const otherFeed = follow(people.member, 'roomEvents', { roomId: other });
    await Promise.all([feed.take(1, 'roomEvents'), otherFeed.take(1, 'roomEvents')]);
    await remove(roomId, people.member);
    await feed.end();
    await people.owner.post(other, 'still here');
    const events = await otherFeed.take(2, 'roomEvents');
    expect(events[1]).toMatchObject({ message: { body: 'still here' } });
    otherFeed.stop();
  });

  test('an answer over the socket has the rights of the one whom the socket belongs to', async () => {
    const roomId = await makeRoom('PRIVATE');
    const query = `query ($id: ID!) { it: room(id: $id) { messages { totalCount } } }`;
    const found: Record<string, unknown> = {};
    for (const role of ROLES) {
      const feed = subscribe(sockets.get(people[role])!, query, { id: roomId });
      const [it] = await feed.take(1, 'it');
      found[role] = it;
    }
    const seen = { messages: { totalCount: 0 } };
    expect(found).toEqual({ 'signed out': null, stranger: null, member: seen, moderator: seen, owner: seen });
  });

  test('everything that happens shows whom it concerns, and nobody gets more by asking for it live', async () => {
    const roomId = await makeRoom('PUBLIC');
    const feed = subscribe(sockets.get(people.owner)!, ROOM_EVENTS, { roomId });
    await feed.take(1, 'roomEvents');
    await remove(roomId, people.member);
    const [, left] = await feed.take(2, 'roomEvents');
    expect(left).toMatchObject({
      __typename: 'MemberLeft',
      actor: { handle: people.owner.handle },
      user: { handle: people.member.handle },
    });
    feed.stop();
  });
});

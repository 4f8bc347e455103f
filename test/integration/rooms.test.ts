import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { signUp, word, type Client, type GraphQLAnswer, type Variables } from '../support/client.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';

const MEMBER = 'member { id role joinedAt user { handle } room { id } }';
const MUTATIONS = {
  createRoom: [
    'CreateRoomInput',
    'room { id slug name topic visibility viewerMembership { role } } eventCursor',
  ],
  joinRoom: ['JoinRoomInput', `room { id } ${MEMBER} eventCursor`],
  leaveRoom: ['LeaveRoomInput', 'roomId memberId room { id viewerMembership { id } } eventCursor'],
  addMember: ['AddMemberInput', `room { id } ${MEMBER} eventCursor`],
  changeMemberRole: ['ChangeMemberRoleInput', `${MEMBER} eventCursor`],
  removeMember: ['RemoveMemberInput', 'room { id } memberId eventCursor'],
} as const;
type Mutation = keyof typeof MUTATIONS;

const ask = (who: Client, mutation: Mutation, input: Variables): Promise<GraphQLAnswer> => {
  const [type, fields] = MUTATIONS[mutation];
  return who.ask(`mutation ($input: ${type}!) { it: ${mutation}(input: $input) { ${fields} } }`, { input });
};

/** What a mutation answers; throws when it is refused. */
async function run(who: Client, mutation: Mutation, input: Variables): Promise<any> {
  const { data, errors } = await ask(who, mutation, input);
  expect(errors).toEqual([]);
  return data['it'];
}

/** The extensions of the one error that a mutation is refused with. */
async function refusal(who: Client, mutation: Mutation, input: Variables): Promise<unknown> {
  const { data, errors } = await ask(who, mutation, input);
  expect(data['it']).toBeNull();
  expect(errors).toHaveLength(1);
  return errors[0]!.extensions;
}

describe.each(backends)('Rooms on %s', (backend) => {
  let app: App;
  let ada: Client;
  let bob: Client;
  let eve: Client;
  let dan: Client;

  beforeAll(async () => {
    app = await startParley(backend);
    const users = await Promise.all(Array.from({ length: 4 }, () => signUp(app.url)));
    [ada, bob, eve, dan] = users as [Client, Client, Client, Client];
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const members = async (who: Client, id: string): Promise<{ total: number; list: string[] }> => {
    const { room } = await who.run(
      `query ($id: ID!) { room(id: $id) { members { totalCount edges { node { role user { handle } } } } } }`,
      { id },
    );
    return {
      total: room.members.totalCount,
      list: room.members.edges.map(
        ({ node }: { node: { role: string; user: { handle: string } } }) =>
          `${node.user.handle} ${node.role}`,
      ),
    };
  };

  const headOf = async (who: Client, id: string): Promise<string> =>
    (await who.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, { id }))['room'].eventCursor;

  /** All that happened in a room so far. */
  async function eventsOf(who: Client, roomId: string): Promise<any[]> {
    const client = live(who);
    const feed = subscribe(client, ROOM_EVENTS, { roomId, last: 100 });
    for (let count = 1; ; count++) {
      const events = await feed.take(count, 'roomEvents');
      if (events.at(-1).__typename !== 'Checkpoint') continue;
      await client.dispose();
      return events.slice(0, -1);
    }
  }

  describe('are made', () => {
    test('with their maker as owner, who is the first thing in their log', async () => {
      const input = { slug: `room-${word()}`, name: 'Kitchen', topic: 'What to cook', visibility: 'PRIVATE' };
      const { room, eventCursor } = await run(ada, 'createRoom', input);
      expect(room).toEqual({
        id: expect.stringMatching(/^room_/),
        ...input,
        viewerMembership: { role: 'OWNER' },
      });
      expect(await members(ada, room.id)).toEqual({ total: 1, list: [`${ada.handle} OWNER`] });
      expect(await eventsOf(ada, room.id)).toMatchObject([
        {
          __typename: 'MemberJoined',
          cursor: eventCursor,
          actor: { handle: ada.handle },
          user: { handle: ada.handle },
          role: 'OWNER',
        },
      ]);
      expect(await headOf(ada, room.id)).toBe(eventCursor);
    });

    test('with a name in NFC, whose flags and families stay whole, and which is found in any case', async () => {
      const mark = word();
      const flags = '👨‍👩‍👧🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}🇨🇭';
      const given = {
        name: `${mark} Ο ΔΡΟΜΟΣ\u202E, Große İSTANBUL Cafe\u0301 ${flags}`,
        topic: `${flags}\ne\u0301`,
      };
      const { room } = await run(ada, 'createRoom', { slug: mark, visibility: 'PUBLIC', ...given });
      expect(room).toMatchObject({
        name: `${mark} Ο ΔΡΟΜΟΣ, Große İSTANBUL Café ${flags}`,
        topic: `${flags}\né`,
      });
      const found = async (part: string): Promise<unknown> =>
        (
          await ada.run(
            'query ($part: String!) { rooms(filter: { nameContains: $part }) { edges { node { slug } } } }',
            {
              part: `${mark} ${part}`,
            },
          )
        )['rooms'].edges.map(({ node }: any) => node.slug);
      for (const part of ['ο δρομος', 'ο δρομοσ, GROSSE istanbul', 'Ο Δρόμος'.normalize('NFD')])
        expect([part, await found(part)]).toEqual([part, part.startsWith('Ο') ? [] : [mark]]);
      expect(await found('ο δρομος, große i\u0307stanbul CAFÉ')).toEqual([mark]);
      expect(
        await ada.run('query ($slug: String!) { roomBySlug(slug: $slug) { slug } }', {
          slug: mark.toUpperCase(),
        }),
      ).toEqual({ roomBySlug: { slug: mark } });
      for (const name of ['', '\u200B', '\u3164', 'a\n', 'x'.repeat(101)])
        expect(await refusal(ada, 'createRoom', { slug: word(), visibility: 'PUBLIC', name })).toEqual({
          code: 'BAD_USER_INPUT',
          field: 'input.name',
        });
      expect(
        (await run(ada, 'createRoom', { slug: word(), visibility: 'PUBLIC', name: 'e\u0301'.repeat(100) }))
          .room.name,
      ).toBe('é'.repeat(100));
    });

    test('once for each slug, however many want it at the same time', async () => {
      const slug = `room-${word()}`;
      const answers = await Promise.all(
        [ada, bob, eve, dan].map((who) => ask(who, 'createRoom', { slug, name: 'x', visibility: 'PUBLIC' })),
      );
      const codes = answers.map(({ errors }) => errors[0]?.extensions ?? 'made');
      expect(codes.filter((code) => code === 'made')).toHaveLength(1);
      expect(codes.filter((code) => code !== 'made')).toEqual(
        Array.from({ length: 3 }, () => ({ code: 'CONFLICT', field: 'input.slug' })),
      );
      // A slug is not given away to see a room that is private.
      expect(await refusal(bob, 'createRoom', { slug, name: 'x', visibility: 'PRIVATE' })).toEqual({
        code: 'CONFLICT',
        field: 'input.slug',
      });
    });

    test.each([
      ['slug', ''],
      ['slug', '-a'],
      ['slug', 'a-'],
      ['slug', 'A'],
      ['slug', 'a b'],
      ['slug', 'a\n'],
      ['slug', 'x'.repeat(65)],
      ['name', ''],
      ['name', ' a'],
      ['name', 'a\n'],
      ['name', 'x'.repeat(101)],
      ['topic', 'x'.repeat(501)],
    ])('not with the %s %j', async (field, value) => {
      const input = { slug: `room-${word()}`, name: 'x', visibility: 'PUBLIC', [field]: value };
      expect(await refusal(ada, 'createRoom', input)).toEqual({
        code: 'BAD_USER_INPUT',
        field: `input.${field}`,
      });
    });

    test.each([
      { slug: 'a'.repeat(64 - 13), name: 'x'.repeat(100), topic: 'x'.repeat(500) },
      { slug: 'a', name: 'Küche \u{1F373}', topic: '' },
      { slug: '0', name: 'x' },
    ])('with all that is allowed: %j', async (input) => {
      const slug = `${input.slug}-${word()}`;
      const { room } = await run(ada, 'createRoom', { ...input, slug, visibility: 'PUBLIC' });
      expect(room).toMatchObject({ topic: null, ...input, slug });
    });
  });

  describe('are joined and left', () => {
    test('under one membership id, in the order of joining', async () => {
      const roomId = await ada.createRoom();
      const first = (await run(bob, 'joinRoom', { roomId })).member;
      await run(eve, 'joinRoom', { roomId });
      expect((await members(ada, roomId)).list).toEqual([
        `${ada.handle} OWNER`,
        `${bob.handle} MEMBER`,
        `${eve.handle} MEMBER`,
      ]);
      const left = await run(bob, 'leaveRoom', { roomId });
      expect(left).toMatchObject({
        roomId,
        memberId: first.id,
        room: { id: roomId, viewerMembership: null },
      });
      expect(await members(ada, roomId)).toEqual({
        total: 2,
        list: [`${ada.handle} OWNER`, `${eve.handle} MEMBER`],
      });
      const again = (await run(bob, 'joinRoom', { roomId })).member;
      expect(again).toMatchObject({
        id: first.id,
        role: 'MEMBER',
        user: { handle: bob.handle },
        room: { id: roomId },
      });
      expect(Date.parse(again.joinedAt)).toBeGreaterThanOrEqual(Date.parse(first.joinedAt));
      expect((await members(ada, roomId)).list).toEqual([
        `${ada.handle} OWNER`,
        `${eve.handle} MEMBER`,
        `${bob.handle} MEMBER`,
      ]);
      expect(await refusal(bob, 'joinRoom', { roomId })).toEqual({ code: 'CONFLICT', field: 'input.roomId' });
    });

    test('once each, however often one asks at the same time', async () => {
      const roomId = await ada.createRoom();
      const answers = await Promise.all(Array.from({ length: 6 }, () => ask(bob, 'joinRoom', { roomId })));
      expect(answers.filter(({ errors }) => errors.length === 0)).toHaveLength(1);
      expect((await members(ada, roomId)).total).toBe(2);
      const leaving = await Promise.all(Array.from({ length: 4 }, () => ask(bob, 'leaveRoom', { roomId })));
      expect(leaving.map(({ errors }) => errors[0]?.extensions['code'] ?? 'left').sort()).toEqual([
        'FORBIDDEN',
        'FORBIDDEN',
        'FORBIDDEN',
        'left',
      ]);
      expect((await members(ada, roomId)).total).toBe(1);
    });

    test('by the last one too, and whoever joins an empty room becomes its owner', async () => {
      const roomId = await ada.createRoom();
      await run(ada, 'leaveRoom', { roomId });
      expect((await run(bob, 'joinRoom', { roomId })).member.role).toBe('OWNER');
      expect((await run(ada, 'joinRoom', { roomId })).member.role).toBe('MEMBER');
    });

    test('for good when they were private and are empty', async () => {
      const roomId = await ada.createRoom('PRIVATE');
      expect((await run(ada, 'leaveRoom', { roomId })).room).toBeNull();
      expect(await refusal(ada, 'joinRoom', { roomId })).toEqual({ code: 'NOT_FOUND' });
    });
  });

  describe('keep an owner', () => {
    test('who neither leaves nor steps back before there is another', async () => {
      const roomId = await ada.createRoom();
      await bob.join(roomId);
      expect(await refusal(ada, 'leaveRoom', { roomId })).toEqual({
        code: 'CONFLICT',
        field: 'input.roomId',
      });
      expect(await refusal(ada, 'changeMemberRole', { roomId, userId: ada.userId, role: 'MEMBER' })).toEqual({
        code: 'CONFLICT',
        field: 'input.role',
      });
      await run(ada, 'changeMemberRole', { roomId, userId: bob.userId, role: 'OWNER' });
      expect(
        (await run(ada, 'changeMemberRole', { roomId, userId: ada.userId, role: 'MODERATOR' })).member.role,
      ).toBe('MODERATOR');
      expect(await refusal(bob, 'leaveRoom', { roomId })).toEqual({
        code: 'CONFLICT',
        field: 'input.roomId',
      });
      await run(ada, 'leaveRoom', { roomId });
      await run(bob, 'leaveRoom', { roomId });
    });

    test('when both of two owners leave at the same time', async () => {
      const roomId = await ada.createRoom();
      await eve.join(roomId);
      await run(ada, 'addMember', { roomId, userId: bob.userId, role: 'OWNER' });
      const answers = await Promise.all([
        ask(ada, 'leaveRoom', { roomId }),
        ask(bob, 'leaveRoom', { roomId }),
      ]);
      expect(answers.map(({ errors }) => errors[0]?.extensions['code'] ?? 'left').sort()).toEqual([
        'CONFLICT',
        'left',
      ]);
      expect((await members(eve, roomId)).list.filter((member) => member.endsWith('OWNER'))).toHaveLength(1);
    });

    test('when two owners demote or remove each other at the same time', async () => {
      for (const [mutation, more] of [
        ['changeMemberRole', { role: 'MEMBER' }],
        ['removeMember', {}],
      ] as const) {
        const roomId = await ada.createRoom();
        await eve.join(roomId);
        await run(ada, 'addMember', { roomId, userId: bob.userId, role: 'OWNER' });
        const answers = await Promise.all([
          ask(ada, mutation, { roomId, userId: bob.userId, ...more }),
          ask(bob, mutation, { roomId, userId: ada.userId, ...more }),
        ]);
        expect(answers.map(({ errors }) => errors[0]?.extensions['code'] ?? 'done').sort()).toEqual([
          'FORBIDDEN',
          'done',
        ]);
        expect((await members(eve, roomId)).list.filter((member) => member.endsWith('OWNER'))).toHaveLength(
          1,
        );
      }
    });
  });

  describe('have members', () => {
    test('who are added with a role, changed and removed, each told to all with who did it', async () => {
      const roomId = await ada.createRoom('PRIVATE');
      const added = await run(ada, 'addMember', { roomId, userId: bob.userId, role: 'MODERATOR' });
      const plain = await run(bob, 'addMember', { roomId, userId: eve.userId });
      expect([added.member.role, plain.member.role]).toEqual(['MODERATOR', 'MEMBER']);
      const changed = await run(ada, 'changeMemberRole', { roomId, userId: eve.userId, role: 'OWNER' });
      expect(changed.member).toMatchObject({
        id: plain.member.id,
        role: 'OWNER',
        joinedAt: plain.member.joinedAt,
      });
      const removed = await run(ada, 'removeMember', { roomId, userId: bob.userId });
      expect(removed.memberId).toBe(added.member.id);
      const [, ...events] = await eventsOf(ada, roomId);
      expect(events).toMatchObject([
        // Bob has left since, so there is no membership to show; his id stays.
        {
          __typename: 'MemberJoined',
          cursor: added.eventCursor,
          actor: { handle: ada.handle },
          user: { handle: bob.handle },
          role: 'MODERATOR',
          memberId: added.member.id,
          member: null,
        },
        {
          __typename: 'MemberJoined',
          cursor: plain.eventCursor,
          actor: { handle: bob.handle },
          user: { handle: eve.handle },
          role: 'MEMBER',
          member: { id: plain.member.id },
        },
        {
          __typename: 'MemberRoleChanged',
          cursor: changed.eventCursor,
          actor: { handle: ada.handle },
          user: { handle: eve.handle },
          role: 'OWNER',
          member: { id: plain.member.id },
        },
        {
          __typename: 'MemberLeft',
          cursor: removed.eventCursor,
          actor: { handle: ada.handle },
          user: { handle: bob.handle },
          memberId: added.member.id,
        },
      ]);
    });

    test('of whom a change that changes nothing tells nobody', async () => {
      const roomId = await ada.createRoom();
      await bob.join(roomId);
      const head = await headOf(ada, roomId);
      const same = await run(ada, 'changeMemberRole', { roomId, userId: bob.userId, role: 'MEMBER' });
      expect(same).toMatchObject({ member: { role: 'MEMBER' }, eventCursor: head });
      expect(await headOf(ada, roomId)).toBe(head);
    });

    test('and know who is meant', async () => {
      const roomId = await ada.createRoom();
      await bob.join(roomId);
      const unknown = `user_${Buffer.alloc(16, 7).toString('base64url')}`;
      expect(await refusal(ada, 'addMember', { roomId, userId: unknown })).toEqual({ code: 'NOT_FOUND' });
      expect(await refusal(ada, 'addMember', { roomId, userId: bob.userId })).toEqual({
        code: 'CONFLICT',
        field: 'input.userId',
      });
      expect(await refusal(ada, 'addMember', { roomId, userId: roomId })).toEqual({
        code: 'BAD_USER_INPUT',
        field: 'input.userId',
      });
      for (const mutation of ['changeMemberRole', 'removeMember'] as const) {
        const more = mutation === 'changeMemberRole' ? { role: 'OWNER' } : {};
        expect(await refusal(ada, mutation, { roomId, userId: eve.userId, ...more })).toEqual({
          code: 'NOT_FOUND',
        });
        expect(await refusal(ada, mutation, { roomId, userId: unknown, ...more })).toEqual({
          code: 'NOT_FOUND',
        });
      }
      expect(await refusal(ada, 'removeMember', { roomId, userId: ada.userId })).toEqual({
        code: 'BAD_USER_INPUT',
        field: 'input.userId',
      });
      for (const [mutation, more] of [
        ['joinRoom', {}],
        ['addMember', { userId: eve.userId }],
      ] as const) {
        const nowhere = `room_${Buffer.alloc(16, 7).toString('base64url')}`;
        expect(await refusal(ada, mutation, { roomId: nowhere, ...more })).toEqual({ code: 'NOT_FOUND' });
      }
    });

    test('of whom moderators manage the plain ones alone', async () => {
      const roomId = await ada.createRoom();
      await run(ada, 'addMember', { roomId, userId: bob.userId, role: 'MODERATOR' });
      await run(ada, 'addMember', { roomId, userId: eve.userId, role: 'MODERATOR' });
      const refused = { code: 'FORBIDDEN' };
      for (const role of ['MODERATOR', 'OWNER'])
        expect(await refusal(bob, 'addMember', { roomId, userId: dan.userId, role })).toEqual(refused);
      for (const { userId } of [ada, eve])
        expect(await refusal(bob, 'removeMember', { roomId, userId })).toEqual(refused);
      for (const { userId } of [ada, eve, bob])
        expect(await refusal(bob, 'changeMemberRole', { roomId, userId, role: 'MEMBER' })).toEqual(refused);
      await run(bob, 'addMember', { roomId, userId: dan.userId });
      await run(bob, 'removeMember', { roomId, userId: dan.userId });
      // Whom a moderator removed, an owner lets in again, and the other way round.
      expect(await refusal(dan, 'joinRoom', { roomId })).toEqual(refused);
      await run(eve, 'addMember', { roomId, userId: dan.userId });
      await run(ada, 'removeMember', { roomId, userId: dan.userId });
      expect(await refusal(dan, 'joinRoom', { roomId })).toEqual(refused);
      await run(bob, 'addMember', { roomId, userId: dan.userId });
    });

    test('who are counted right, however they come and go at the same time', async () => {
      const roomId = await ada.createRoom();
      for (let round = 0; round < 3; round++) {
        await Promise.all([bob, eve, dan].map((who) => run(who, 'joinRoom', { roomId })));
        expect((await members(ada, roomId)).total).toBe(4);
        await Promise.all([bob, eve].map((who) => run(who, 'leaveRoom', { roomId })));
        await run(dan, 'leaveRoom', { roomId });
        const { total, list } = await members(ada, roomId);
        expect(total).toBe(list.length);
      }
      const events = await eventsOf(ada, roomId);
      expect(events).toHaveLength(1 + 3 * 6);
      expect(new Set(events.map(({ cursor }) => cursor)).size).toBe(events.length);
    });
  });
});

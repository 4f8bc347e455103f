import type { Client as WsClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley, type Place } from '../support/app.js';
import { signUp, type Client, type Variables } from '../support/client.js';
import { live, ROOM_EVENTS, subscribe, type Feed } from '../support/live.js';
import { withClient } from '../support/services/databases.js';

const MESSAGE_ADDED = `subscription ($roomId: ID!, $after: String) {
  messageAdded(roomId: $roomId, after: $after) { __typename cursor message { id body } } }`;
const FILE_ADDED = `subscription ($roomId: ID!, $after: String) {
  fileAdded(roomId: $roomId, after: $after) { __typename cursor fileId file { name } } }`;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

describe.each(backends)('Following a room on %s', (backend) => {
  let app: App & { readonly place: Place };
  let ada: Client;
  let bob: Client;
  let socket: WsClient;

  beforeAll(async () => {
    app = await startParley(backend);
    [ada, bob] = [await signUp(app.url), await signUp(app.url)];
    socket = live(bob, { lazy: false });
  });
  afterAll(async () => {
    await socket.dispose();
    await app[Symbol.asyncDispose]();
  });

  const makeRoom = async (): Promise<string> => {
    const roomId = await ada.createRoom();
    await bob.join(roomId);
    return roomId;
  };

  const headOf = async (roomId: string): Promise<string> =>
    (await ada.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, { id: roomId }))['room'].eventCursor;

  const follow = (variables: Variables, query = ROOM_EVENTS): Feed => subscribe(socket, query, variables);
  const namesOf = (events: { __typename: string }[]): string[] => events.map(({ __typename }) => __typename);

  /** The extensions of the error that a subscription ends with before anything came. */
  async function refusal(variables: Variables, query = ROOM_EVENTS): Promise<unknown> {
    const feed = follow(variables, query);
    await feed.end();
    expect(feed.results).toEqual([]);
    expect(feed.error).toHaveLength(1);
    return (feed.error as { extensions: unknown }[])[0]!.extensions;
  }

  describe('from now on', () => {
    test('begins with the place where the log stands, and goes on with what happens', async () => {
      const roomId = await makeRoom();
      const feed = follow({ roomId });
      const [checkpoint] = await feed.take(1, 'roomEvents');
      expect(checkpoint).toEqual({
        __typename: 'Checkpoint',
        cursor: await headOf(roomId),
        at: expect.any(String),
        actor: null,
      });
      const { id, eventCursor } = await ada.post(roomId, 'hello');
      const [, event] = await feed.take(2, 'roomEvents');
      expect(event).toMatchObject({
        __typename: 'MessageAdded',
        cursor: eventCursor,
        actor: { handle: ada.handle },
        message: { id },
      });
      feed.stop();
    });

    test('tells of everything that happens, in order, each thing once', async () => {
      const roomId = await makeRoom();
      const eve = await signUp(app.url);
      const feed = follow({ roomId });
      await feed.take(1, 'roomEvents');
      const cursors: string[] = [];
      const act = async (who: Client, mutation: string, input: string): Promise<any> => {
        const data = await who.run(`mutation { it: ${mutation}(input: { ${input} }) { eventCursor } }`);
        cursors.push(data['it'].eventCursor);
      };
      const { id, eventCursor } = await ada.post(roomId, 'text');
      cursors.push(eventCursor);
      await act(ada, 'editMessage', `messageId: "${id}", body: "edited"`);
      const { data } = await ada.upload(roomId, 'notes.txt', 'some text');
      const fileId = data['uploadFile'].file.id as string;
      cursors.push(data['uploadFile'].eventCursor);
      await act(eve, 'joinRoom', `roomId: "${roomId}"`);
      await act(ada, 'changeMemberRole', `roomId: "${roomId}", userId: "${eve.userId}", role: MODERATOR`);
      await act(eve, 'deleteMessage', `messageId: "${id}"`);
      await act(eve, 'deleteFile', `fileId: "${fileId}"`);
      await act(eve, 'leaveRoom', `roomId: "${roomId}"`);

      const [, ...events] = await feed.take(9, 'roomEvents');
      expect(events.map(({ cursor }) => cursor)).toEqual(cursors);
      const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      const [a, e] = [{ handle: ada.handle }, { handle: eve.handle }];
      expect(events).toMatchObject([
        { __typename: 'MessageAdded', at, actor: a, message: { id } },
        { __typename: 'MessageEdited', at, actor: a, message: { id } },
        { __typename: 'FileAdded', at, actor: a, fileId },
        { __typename: 'MemberJoined', at, actor: e, user: e, role: 'MEMBER' },
        { __typename: 'MemberRoleChanged', at, actor: a, user: e, role: 'MODERATOR' },
        { __typename: 'MessageDeleted', at, actor: e, message: { id, body: '', deletedAt: at } },
        { __typename: 'FileDeleted', at, actor: e, fileId },
        { __typename: 'MemberLeft', at, actor: e, user: e },
      ]);
      feed.stop();

      // A replay tells the same, with what it points to as it is now.
      const replay = follow({ roomId, last: 100 });
      const again = await replay.take(11, 'roomEvents');
      expect(namesOf(again)).toEqual(['MemberJoined', 'MemberJoined', ...namesOf(events), 'Checkpoint']);
      expect(again.slice(2, 10).map(({ cursor }) => cursor)).toEqual(cursors);
      expect(again[2].message).toEqual({ id, body: '', author: a });
      expect(again[4]).toMatchObject({ fileId, file: null });
      expect(again[5]).toMatchObject({ user: e, role: 'MEMBER', member: null });
      expect(again[6]).toMatchObject({ user: e, role: 'MODERATOR', member: null });
      expect(again[10].cursor).toBe(cursors.at(-1));
      replay.stop();
    });
  });

  describe('after a cursor', () => {
    test('tells first what was missed, then where that ends, then what happens', async () => {
      const roomId = await makeRoom();
      const after = await headOf(roomId);
      const missed = [];
      for (let i = 0; i < 5; i++) missed.push((await ada.post(roomId, `missed ${i}`)).eventCursor);
      const feed = follow({ roomId, after });
      const replay = await feed.take(6, 'roomEvents');
      expect(namesOf(replay)).toEqual([...missed.map(() => 'MessageAdded'), 'Checkpoint']);
      expect(replay.map(({ cursor }) => cursor)).toEqual([...missed, missed.at(-1)]);
      const { eventCursor } = await ada.post(roomId, 'live');
      expect((await feed.take(7, 'roomEvents'))[6].cursor).toBe(eventCursor);
      feed.stop();
      // From any place on, and from the end: nothing but the place.
      const middle = follow({ roomId, after: missed[2] });
      expect((await middle.take(4, 'roomEvents')).map(({ cursor }) => cursor)).toEqual([
        missed[3],
        missed[4],
        eventCursor,
        eventCursor,
      ]);
      middle.stop();
      const end = follow({ roomId, after: eventCursor });
      expect(await end.take(1, 'roomEvents')).toMatchObject([
        { __typename: 'Checkpoint', cursor: eventCursor },
      ]);
      end.stop();
    });

    test('misses nothing and repeats nothing while others write', async () => {
      const roomId = await makeRoom();
      const after = await headOf(roomId);
      const posting = (async () => {
        const cursors = [];
        for (let i = 0; i < 60; i++) cursors.push((await ada.post(roomId, `message ${i}`)).eventCursor);
        return cursors;
      })();
      // Each begins at another moment, and from the last thing that the one before it saw.
      const seen: string[] = [];
      let from = after;
      while (seen.length < 60) {
        const feed = follow({ roomId, after: from }, MESSAGE_ADDED);
        const events = await feed.take(Math.min(1 + (seen.length % 7), 60 - seen.length), 'messageAdded');
        feed.stop();
        seen.push(...events.map(({ cursor }) => cursor));
        from = seen.at(-1)!;
      }
      expect(seen).toEqual(await posting);
    });

    test('goes through a long log without a gap', async () => {
      const roomId = await makeRoom();
      const after = await headOf(roomId);
      const posts = Array.from(
        { length: 50 },
        (_, i) => `p${i}: postMessage(input: { roomId: $id, body: "${i}" }) { eventCursor }`,
      ).join(' ');
      const expected: string[] = [];
      // More than a feed keeps in memory, and more than it reads at once.
      for (let i = 0; i < 11; i++) {
        const data = await ada.run<Record<string, { eventCursor: string }>>(
          `mutation ($id: ID!) { ${posts} }`,
          { id: roomId },
        );
        expected.push(...Object.values(data).map(({ eventCursor }) => eventCursor));
      }
      const [early, late] = [follow({ roomId, after }), follow({ roomId, after: expected[449] })];
      const events = await early.take(551, 'roomEvents', 20_000);
      expect(events.map(({ cursor }) => cursor)).toEqual([...expected, expected.at(-1)]);
      expect((await late.take(101, 'roomEvents')).map(({ cursor }) => cursor)).toEqual([
        ...expected.slice(450),
        expected.at(-1),
      ]);
      early.stop();
      late.stop();
    });

    test('is where each list and each answer says that it is', async () => {
      const roomId = await makeRoom();
      const { room } = await bob.run(
        `query ($id: ID!) { room(id: $id) { eventCursor messages { eventCursor } members { eventCursor } files { eventCursor } } }`,
        { id: roomId },
      );
      const { eventCursor } = await ada.post(roomId, 'after the page');
      for (const after of [
        room.eventCursor,
        room.messages.eventCursor,
        room.members.eventCursor,
        room.files.eventCursor,
      ]) {
        const feed = follow({ roomId, after });
        expect((await feed.take(1, 'roomEvents'))[0].cursor).toBe(eventCursor);
        feed.stop();
      }
    });

    test.each(['', 'x', 'bWVzc2FnZQ', 'x'.repeat(42), 'A'.repeat(42)])(
      'that is none (%j) is refused with the place to go on from',
      async (after) => {
        const roomId = await makeRoom();
        const eventCursor = await headOf(roomId);
        for (const query of [ROOM_EVENTS, MESSAGE_ADDED, FILE_ADDED]) {
          expect(await refusal({ roomId, after }, query)).toEqual({
            code: 'BAD_CURSOR',
            field: 'after',
            eventCursor,
          });
        }
        const feed = follow({ roomId, after: eventCursor });
        await feed.take(1, 'roomEvents');
        feed.stop();
      },
    );

    test('of another room is refused', async () => {
      const [roomId, other] = [await makeRoom(), await makeRoom()];
      expect(await refusal({ roomId, after: await headOf(other) })).toEqual({
        code: 'BAD_CURSOR',
        field: 'after',
        eventCursor: await headOf(roomId),
      });
    });

    test('that was altered anywhere is refused', async () => {
      const roomId = await makeRoom();
      const { eventCursor: after } = await ada.post(roomId, 'one');
      await ada.post(roomId, 'two');
      const codes = new Set<unknown>();
      for (let i = 0; i < after.length; i++) {
        const at = ALPHABET.indexOf(after[i]!);
        for (const by of [1, 32]) {
          const altered = after.slice(0, i) + ALPHABET[(at + by) % 64]! + after.slice(i + 1);
          codes.add(((await refusal({ roomId, after: altered })) as { code: unknown }).code);
        }
      }
      // Another room, or no cursor at all; a place that this room's log never had.
      expect(codes).toEqual(new Set(['BAD_CURSOR', 'CURSOR_EXPIRED']));
    });
  });

  describe('from the last few events on', () => {
    test('tells those, then where they end, then what happens', async () => {
      const roomId = await makeRoom();
      const cursors: string[] = [];
      for (let i = 0; i < 4; i++) cursors.push((await ada.post(roomId, `message ${i}`)).eventCursor);
      for (const [last, count] of [
        [1, 1],
        [3, 3],
        // All there are: two who joined, and the messages.
        [6, 6],
        [100, 6],
      ] as const) {
        const feed = follow({ roomId, last });
        const events = await feed.take(count + 1, 'roomEvents');
        expect(namesOf(events).at(-1)).toBe('Checkpoint');
        const seen = events.map(({ cursor }) => cursor);
        expect(seen.slice(-1 - Math.min(count, 4))).toEqual([...cursors.slice(-count), cursors.at(-1)]);
        expect(seen).toHaveLength(count + 1);
        feed.stop();
      }
    });

    test.each([0, -1, 101])('not %i of them', async (last) => {
      expect(await refusal({ roomId: await makeRoom(), last })).toEqual({
        code: 'BAD_USER_INPUT',
        field: 'last',
      });
    });

    test('not together with a cursor', async () => {
      const roomId = await makeRoom();
      expect(await refusal({ roomId, last: 1, after: await headOf(roomId) })).toEqual({
        code: 'BAD_USER_INPUT',
        field: 'last',
      });
    });
  });

  test('by messageAdded or fileAdded tells of those alone, missed ones among them, and of no place', async () => {
    const roomId = await makeRoom();
    const after = await headOf(roomId);
    const { id } = await ada.post(roomId, 'missed');
    const { data } = await ada.upload(roomId, 'missed.txt', 'text');
    const [messages, files] = [
      follow({ roomId, after }, MESSAGE_ADDED),
      follow({ roomId, after }, FILE_ADDED),
    ];
    const everything = follow({ roomId, after });
    await Promise.all([
      messages.take(1, 'messageAdded'),
      files.take(1, 'fileAdded'),
      everything.take(3, 'roomEvents'),
    ]);
    await ada.run(
      `mutation ($id: ID!) { editMessage(input: { messageId: $id, body: "edited" }) { eventCursor } }`,
      { id },
    );
    await ada.upload(roomId, 'live.txt', 'text');
    await ada.post(roomId, 'live');
    await everything.take(6, 'roomEvents');
    const added = await messages.take(2, 'messageAdded');
    expect(added).toMatchObject([
      { __typename: 'MessageAdded', message: { id } },
      { __typename: 'MessageAdded', message: { body: 'live' } },
    ]);
    const uploaded = await files.take(2, 'fileAdded');
    expect(uploaded).toMatchObject([
      { __typename: 'FileAdded', fileId: data['uploadFile'].file.id, file: { name: 'missed.txt' } },
      { __typename: 'FileAdded', file: { name: 'live.txt' } },
    ]);
    expect([messages.results.length, files.results.length]).toEqual([2, 2]);
    for (const feed of [messages, files, everything]) feed.stop();
  });

  test('and what is done twice under one key, or changes nothing, is told once or not at all', async () => {
    const roomId = await makeRoom();
    const feed = follow({ roomId });
    await feed.take(1, 'roomEvents');
    const twice = { idempotencyKey: 'the same' };
    const { id } = await ada.post(roomId, 'once', twice);
    await ada.post(roomId, 'once', twice);
    const edit = `mutation ($id: ID!) { editMessage(input: { messageId: $id, body: "edited" }) { eventCursor } }`;
    const remove = `mutation ($id: ID!) { deleteMessage(input: { messageId: $id }) { eventCursor } }`;
    for (const mutation of [edit, edit, remove, remove]) await ada.run(mutation, { id });
    await ada.post(roomId, 'the end');
    const events = await feed.take(5, 'roomEvents');
    expect(namesOf(events)).toEqual([
      'Checkpoint',
      'MessageAdded',
      'MessageEdited',
      'MessageDeleted',
      'MessageAdded',
    ]);
    feed.stop();
  });

  test('ends for the client that says so, and not for the others of its room', async () => {
    const roomId = await makeRoom();
    const [first, second] = [follow({ roomId }), follow({ roomId })];
    await Promise.all([first.take(1, 'roomEvents'), second.take(1, 'roomEvents')]);
    first.stop();
    await ada.post(roomId, 'hello');
    await second.take(2, 'roomEvents');
    expect(first.results).toHaveLength(1);
    second.stop();
  });

  describe.skipIf(backend === 'embedded')('whose log was trimmed', () => {
    const sql = (text: string, values: unknown[]): Promise<unknown> =>
      withClient(app.place.env['DATABASE_URL']!, (client) => client.query(text, values));
    const uuidOf = (roomId: string): string =>
      Buffer.from(roomId.slice('room_'.length), 'base64url').toString('hex');

    test('refuses a cursor that it no longer reaches back to, with the place to go on from', async () => {
      const roomId = await makeRoom();
      const cursors: string[] = [await headOf(roomId)];
      for (let i = 0; i < 6; i++) cursors.push((await ada.post(roomId, `message ${i}`)).eventCursor);
      // The events 1 to 5: those who joined, and three messages.
      await sql('delete from room_events where room_id = $1 and seq <= 5', [uuidOf(roomId)]);
      const expired = { code: 'CURSOR_EXPIRED', eventCursor: cursors[6] };
      for (const after of cursors.slice(0, 4)) {
        for (const query of [ROOM_EVENTS, MESSAGE_ADDED, FILE_ADDED])
          expect(await refusal({ roomId, after }, query)).toEqual(expired);
      }
      const feed = follow({ roomId, after: cursors[4] });
      expect((await feed.take(3, 'roomEvents')).map(({ cursor }) => cursor)).toEqual([
        cursors[5],
        cursors[6],
        cursors[6],
      ]);
      feed.stop();
      const kept = follow({ roomId, last: 100 });
      expect((await kept.take(4, 'roomEvents')).map(({ cursor }) => cursor)).toEqual([
        ...cursors.slice(4),
        cursors[6],
      ]);
      kept.stop();
    });

    test('never passes over a hole', async () => {
      const roomId = await makeRoom();
      const after = await headOf(roomId);
      for (let i = 0; i < 6; i++) await ada.post(roomId, `message ${i}`);
      await sql('delete from room_events where room_id = $1 and seq = 6', [uuidOf(roomId)]);
      const feed = follow({ roomId, after });
      await feed.end();
      expect(feed.codes).toEqual(['CURSOR_EXPIRED']);
      expect(feed.results.map(({ roomEvents }) => roomEvents.message.body)).toEqual(
        ['message 0', 'message 1', 'message 2'].slice(0, feed.results.length),
      );
    });

    test('refuses a cursor of a history that was undone', async () => {
      const roomId = await makeRoom();
      const { eventCursor: after } = await ada.post(roomId, 'to be undone');
      // As a backup that is restored: the same place bears another event.
      await sql(`update room_events set tag = 'AAAAAAAAAAA' where room_id = $1 and seq = 3`, [
        uuidOf(roomId),
      ]);
      await sql(`update rooms set last_tag = 'AAAAAAAAAAA' where id = $1`, [uuidOf(roomId)]);
      expect(await refusal({ roomId, after })).toEqual({
        code: 'CURSOR_EXPIRED',
        eventCursor: await headOf(roomId),
      });
    });
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { backends, startParley } from '../support/app.js';
import { signUp, word, type Client, type GraphQLAnswer, type Variables } from '../support/client.js';
import { live, subscribe } from '../support/live.js';

const FIELDS =
  'id body author { handle } files { id name } replyTo { id body deletedAt } createdAt editedAt deletedAt room { id }';
const MUTATIONS = {
  postMessage: 'PostMessageInput',
  editMessage: 'EditMessageInput',
  deleteMessage: 'DeleteMessageInput',
};
type Mutation = keyof typeof MUTATIONS;

const ask = (who: Client, mutation: Mutation, input: Variables): Promise<GraphQLAnswer> =>
  who.ask(
    `mutation ($input: ${MUTATIONS[mutation]}!) { it: ${mutation}(input: $input) { eventCursor message { ${FIELDS} } } }`,
    { input },
  );

async function run(who: Client, mutation: Mutation, input: Variables): Promise<any> {
  const { data, errors } = await ask(who, mutation, input);
  expect(errors).toEqual([]);
  return data['it'];
}

async function refusal(who: Client, mutation: Mutation, input: Variables): Promise<unknown> {
  const { data, errors } = await ask(who, mutation, input);
  expect(data['it']).toBeNull();
  return errors.map(({ extensions }) => extensions);
}

const wrong = (field: string): unknown => [{ code: 'BAD_USER_INPUT', field }];

describe.each(backends)('Messages on %s', (backend) => {
  let app: App;
  let ada: Client;
  let bob: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley(backend);
    [ada, bob] = [await signUp(app.url), await signUp(app.url)];
    roomId = await ada.createRoom();
    await bob.join(roomId);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const upload = async (who: Client, name: string, room = roomId): Promise<string> => {
    const { data } = await who.upload(room, name, `text of ${name}`);
    return data['uploadFile'].file.id as string;
  };

  const headOf = async (room = roomId): Promise<string> =>
    (await ada.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, { id: room }))['room'].eventCursor;

  const read = async (id: string): Promise<any> =>
    (await bob.run(`query ($id: ID!) { node(id: $id) { ... on Message { ${FIELDS} } } }`, { id }))['node'];

  const timeline = async (room = roomId): Promise<{ totalCount: number; ids: string[] }> => {
    const { room: found } = await ada.run(
      `query ($id: ID!) { room(id: $id) { messages(last: 100) { totalCount edges { node { id } } } } }`,
      { id: room },
    );
    return {
      totalCount: found.messages.totalCount,
      ids: found.messages.edges.map(({ node }: { node: { id: string } }) => node.id),
    };
  };

  describe('are posted', () => {
    test('with their text, files and what they answer', async () => {
      const files = [await upload(ada, 'b.txt'), await upload(bob, 'a.txt')];
      const first = await run(ada, 'postMessage', { roomId, body: 'What do you think?' });
      const before = Date.now();
      const { message, eventCursor } = await run(bob, 'postMessage', {
        roomId,
        body: ' Fine.\n',
        replyToId: first.message.id,
        fileIds: files,
      });
      expect(message).toEqual({
        id: expect.stringMatching(/^msg_/),
        body: ' Fine.\n',
        author: { handle: bob.handle },
        // In the order given, and whoever uploaded them.
        files: [
          { id: files[0], name: 'b.txt' },
          { id: files[1], name: 'a.txt' },
        ],
        replyTo: { id: first.message.id, body: 'What do you think?', deletedAt: null },
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        editedAt: null,
        deletedAt: null,
        room: { id: roomId },
      });
      expect(Math.abs(Date.parse(message.createdAt) - before)).toBeLessThan(60_000);
      expect(await read(message.id)).toEqual(message);
      expect(await headOf()).toBe(eventCursor);
      expect((await timeline()).ids.slice(-2)).toEqual([first.message.id, message.id]);
    });

    test('without text only when there are files', async () => {
      for (const body of ['', ' ', '\n\t '])
        expect(await refusal(ada, 'postMessage', { roomId, body })).toEqual(wrong('input.body'));
      const fileIds = [await upload(ada, 'only.txt')];
      expect((await run(ada, 'postMessage', { roomId, body: '', fileIds })).message).toMatchObject({
        body: '',
        files: [{ name: 'only.txt' }],
      });
    });

    test('with ten thousand characters and no more', async () => {
      expect((await run(ada, 'postMessage', { roomId, body: 'x'.repeat(10_000) })).message.body).toHaveLength(
        10_000,
      );
      expect(await refusal(ada, 'postMessage', { roomId, body: 'x'.repeat(10_001) })).toEqual(
        wrong('input.body'),
      );
    });

    test('with what is in the room alone', async () => {
      const other = await ada.createRoom();
      const elsewhere = (await ada.post(other, 'elsewhere')).id;
      const gone = (await ada.post(roomId, 'gone')).id;
      await run(ada, 'deleteMessage', { messageId: gone });
      for (const replyToId of [elsewhere, gone, `msg_${Buffer.alloc(16, 7).toString('base64url')}`, roomId]) {
        expect(await refusal(ada, 'postMessage', { roomId, body: 'x', replyToId })).toEqual(
          wrong('input.replyToId'),
        );
      }
      const [here, there, deleted] = [
        await upload(ada, 'here.txt'),
        await upload(ada, 'there.txt', other),
        await upload(ada, 'deleted.txt'),
      ];
      await ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { eventCursor } }`, {
        id: deleted,
      });
      for (const bad of [there, deleted, `file_${Buffer.alloc(16, 7).toString('base64url')}`, roomId]) {
        expect(await refusal(ada, 'postMessage', { roomId, body: 'x', fileIds: [here, bad] })).toEqual(
          wrong('input.fileIds.1'),
        );
      }
    });

    test('with each file once, and twenty at most', async () => {
      const one = await upload(ada, 'one.txt');
      expect(await refusal(ada, 'postMessage', { roomId, body: 'x', fileIds: [one, one] })).toEqual(
        wrong('input.fileIds'),
      );
      const many = Array.from({ length: 21 }, (_, i) => `file_${Buffer.alloc(16, i).toString('base64url')}`);
      expect(await refusal(ada, 'postMessage', { roomId, body: 'x', fileIds: many })).toEqual(
        wrong('input.fileIds'),
      );
    });

    test('and refused, leave no trace', async () => {
      const [head, before] = [await headOf(), await timeline()];
      await refusal(ada, 'postMessage', { roomId, body: '' });
      await refusal(ada, 'postMessage', {
        roomId,
        body: 'x',
        replyToId: `msg_${Buffer.alloc(16, 7).toString('base64url')}`,
      });
      expect(await headOf()).toBe(head);
      expect(await timeline()).toEqual(before);
    });
  });

  describe('are edited', () => {
    test('by their author, in place', async () => {
      const posted = await run(ada, 'postMessage', { roomId, body: 'frist' });
      await ada.post(roomId, 'and another');
      const { message, eventCursor } = await run(ada, 'editMessage', {
        messageId: posted.message.id,
        body: 'first',
      });
      expect(message).toEqual({ ...posted.message, body: 'first', editedAt: expect.any(String) });
      expect(Date.parse(message.editedAt)).toBeGreaterThanOrEqual(Date.parse(message.createdAt));
      expect(await read(message.id)).toEqual(message);
      expect(await headOf()).toBe(eventCursor);
      expect((await timeline()).ids.at(-2)).toBe(message.id);
    });

    test('to the same text without anything happening', async () => {
      const { id } = await ada.post(roomId, 'the same');
      const head = await headOf();
      expect(await run(ada, 'editMessage', { messageId: id, body: 'the same' })).toMatchObject({
        eventCursor: head,
        message: { editedAt: null },
      });
      expect(await headOf()).toBe(head);
    });

    test('to nothing only when there are files', async () => {
      const { id } = await ada.post(roomId, 'text');
      expect(await refusal(ada, 'editMessage', { messageId: id, body: ' ' })).toEqual(wrong('input.body'));
      const withFile = await ada.post(roomId, 'text', { fileIds: [await upload(ada, 'kept.txt')] });
      expect((await run(ada, 'editMessage', { messageId: withFile.id, body: '' })).message.body).toBe('');
      expect(await refusal(ada, 'editMessage', { messageId: id, body: 'x'.repeat(10_001) })).toEqual(
        wrong('input.body'),
      );
    });

    test('no more once they are deleted', async () => {
      const { id } = await ada.post(roomId, 'gone');
      await run(ada, 'deleteMessage', { messageId: id });
      expect(await refusal(ada, 'editMessage', { messageId: id, body: 'back' })).toEqual(
        wrong('input.messageId'),
      );
    });
  });

  describe('are deleted', () => {
    test('and keep their place, without their text and files', async () => {
      const file = await upload(ada, 'attached.txt');
      const { id } = await ada.post(roomId, 'to be deleted', { fileIds: [file] });
      const answer = await bob.post(roomId, 'an answer', { replyToId: id });
      const before = await timeline();
      const { message, eventCursor } = await run(ada, 'deleteMessage', { messageId: id });
      expect(message).toMatchObject({
        id,
        body: '',
        files: [],
        author: { handle: ada.handle },
        deletedAt: expect.any(String),
      });
      expect(await headOf()).toBe(eventCursor);
      expect(await timeline()).toEqual(before);
      expect((await read(answer.id)).replyTo).toEqual({ id, body: '', deletedAt: message.deletedAt });
      // The file itself is another matter.
      expect((await ada.run(`query ($id: ID!) { node(id: $id) { id } }`, { id: file }))['node']).toEqual({
        id: file,
      });
    });

    test('once: again, nothing happens', async () => {
      const { id } = await ada.post(roomId, 'twice');
      const first = await run(ada, 'deleteMessage', { messageId: id });
      expect(await run(ada, 'deleteMessage', { messageId: id })).toEqual(first);
      const answers = await Promise.all(
        Array.from({ length: 4 }, () => run(ada, 'deleteMessage', { messageId: id })),
      );
      expect(new Set(answers.map(({ eventCursor }) => eventCursor))).toEqual(new Set([first.eventCursor]));
    });

    test('once also when the author edits at the same time', async () => {
      const { id } = await ada.post(roomId, 'race');
      const [edited] = await Promise.all([
        ask(ada, 'editMessage', { messageId: id, body: 'edited' }),
        run(ada, 'deleteMessage', { messageId: id }),
      ]);
      expect(edited.errors.map(({ extensions }) => extensions['code'])).toEqual(
        edited.data['it'] === null ? ['BAD_USER_INPUT'] : [],
      );
      expect(await read(id)).toMatchObject({ body: '', deletedAt: expect.any(String) });
    });
  });

  test('lose a file that is deleted, and go on without it', async () => {
    const [kept, gone] = [await upload(ada, 'kept.txt'), await upload(ada, 'gone.txt')];
    const { id } = await ada.post(roomId, 'two files', { fileIds: [gone, kept] });
    await ada.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { eventCursor } }`, { id: gone });
    expect((await read(id)).files).toEqual([{ id: kept, name: 'kept.txt' }]);
  });

  describe('with an idempotency key', () => {
    test('are posted once: the same again answers the first outcome, as it is now', async () => {
      const input = { roomId, body: 'once', idempotencyKey: word() };
      const first = await run(ada, 'postMessage', input);
      const head = await headOf();
      expect(await run(ada, 'postMessage', input)).toEqual(first);
      await run(ada, 'editMessage', { messageId: first.message.id, body: 'once, edited' });
      const again = await run(ada, 'postMessage', input);
      expect(again).toMatchObject({
        eventCursor: first.eventCursor,
        message: { id: first.message.id, body: 'once, edited' },
      });
      expect((await timeline()).ids.filter((id) => id === first.message.id)).toHaveLength(1);
      expect(first.eventCursor).toBe(head);
    });

    test('conflict with another input under the same key', async () => {
      const other = await ada.createRoom();
      const reply = (await ada.post(roomId, 'reply to me')).id;
      const file = await upload(ada, 'key.txt');
      const input = { roomId, body: 'one input', idempotencyKey: word() };
      await run(ada, 'postMessage', input);
      const conflict = [{ code: 'CONFLICT', field: 'input.idempotencyKey' }];
      for (const change of [
        { body: 'another input' },
        { roomId: other },
        { replyToId: reply },
        { fileIds: [file] },
      ]) {
        expect(await refusal(ada, 'postMessage', { ...input, ...change })).toEqual(conflict);
      }
      // Nothing given and null are the same input.
      await run(ada, 'postMessage', { ...input, replyToId: null, fileIds: [] });
    });

    test('are posted once also when twins are sent at the same time', async () => {
      const input = { roomId, body: `twins ${word()}`, idempotencyKey: word() };
      const answers = await Promise.all(Array.from({ length: 6 }, () => run(ada, 'postMessage', input)));
      expect(new Set(answers.map(({ message }) => message.id)).size).toBe(1);
      expect(new Set(answers.map(({ eventCursor }) => eventCursor)).size).toBe(1);
    });

    test('are posted once when twins of different input are sent at the same time', async () => {
      const other = await ada.createRoom();
      const idempotencyKey = word();
      const answers = await Promise.all(
        [roomId, other, roomId, other].map((room) =>
          ask(ada, 'postMessage', { roomId: room, body: 'x', idempotencyKey }),
        ),
      );
      const codes = answers.map(({ errors }) => errors[0]?.extensions['code'] ?? 'posted').sort();
      expect(codes).toEqual(['CONFLICT', 'CONFLICT', 'posted', 'posted']);
      expect(new Set(answers.flatMap(({ data }) => data['it']?.message.id ?? [])).size).toBe(1);
    });

    test('use up neither the keys of others nor a key that was refused', async () => {
      const idempotencyKey = word();
      const [mine, theirs] = [
        await run(ada, 'postMessage', { roomId, body: 'x', idempotencyKey }),
        await run(bob, 'postMessage', { roomId, body: 'x', idempotencyKey }),
      ];
      expect(theirs.message.id).not.toBe(mine.message.id);
      const key = word();
      await refusal(ada, 'postMessage', {
        roomId,
        body: 'x',
        idempotencyKey: key,
        replyToId: `msg_${Buffer.alloc(16, 7).toString('base64url')}`,
      });
      await run(ada, 'postMessage', { roomId, body: 'x', idempotencyKey: key });
    });

    test.each(['', 'x'.repeat(201)])('refuse a key that is none: %j', async (idempotencyKey) => {
      expect(await refusal(ada, 'postMessage', { roomId, body: 'x', idempotencyKey })).toEqual(
        wrong('input.idempotencyKey'),
      );
    });
  });

  test('stand in the timeline as they came in the log, however many post at the same time', async () => {
    const room = await ada.createRoom();
    await bob.join(room);
    const socket = live(bob);
    const feed = subscribe(
      socket,
      `subscription ($roomId: ID!, $after: String) { messageAdded(roomId: $roomId, after: $after) { cursor message { id } } }`,
      { roomId: room, after: await headOf(room) },
    );
    const posted = await Promise.all(
      Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? ada : bob).post(room, `message ${i}`)),
    );
    const events = await feed.take(40, 'messageAdded');
    const { ids, totalCount } = await timeline(room);
    expect(totalCount).toBe(40);
    expect(events.map(({ message }) => message.id)).toEqual(ids);
    expect(new Set(ids)).toEqual(new Set(posted.map(({ id }) => id)));
    // Each answer names the very place that the event has.
    expect(new Map(events.map(({ message, cursor }) => [message.id, cursor]))).toEqual(
      new Map(posted.map(({ id, eventCursor }) => [id, eventCursor])),
    );
    await socket.dispose();
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { makePlace, startOn, type Place } from '../support/app.js';
import { Client, PASSWORD, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe, type Feed } from '../support/live.js';
import { isMissing, services } from '../support/services.js';
import { sql } from '../support/uploads.js';
import { Wire } from '../support/wire.js';

interface Scene {
  readonly owner: Client;
  readonly member: Client;
  readonly stranger: Client;
  readonly roomId: string;
  readonly messageId: string;
  readonly fileId: string;
}

async function upload(user: Client, roomId: string): Promise<string> {
  const { data } = await user.upload(roomId, 'a.txt', 'some bytes');
  return data['uploadFile'].file.id as string;
}

type When = 'asking' | 'answering';
type Mutation = (scene: Scene) => Promise<unknown>;
const run =
  (query: string): Mutation =>
  (scene) =>
    scene.owner.run(`mutation { ${query} }`);

/** What posts one message, by a statement that commits itself. */
const POSTS: Record<string, Mutation> = {
  'postMessage without a key': ({ owner, roomId }) => owner.post(roomId, 'once'),
  'postMessage with a key': ({ owner, roomId }) => owner.post(roomId, 'once', { idempotencyKey: roomId }),
};
/** The name of that statement, which is sent each time. */
const POSTING = 'insert_posts';

/** What writes one event into the room's log otherwise. */
const WRITES: Record<string, Mutation> = {
  editMessage: (scene) =>
    run(`editMessage(input: { messageId: "${scene.messageId}", body: "edited" }) { eventCursor }`)(scene),
  deleteMessage: (scene) =>
    run(`deleteMessage(input: { messageId: "${scene.messageId}" }) { eventCursor }`)(scene),
  uploadFile: ({ owner, roomId }) => upload(owner, roomId),
  deleteFile: (scene) => run(`deleteFile(input: { fileId: "${scene.fileId}" }) { eventCursor }`)(scene),
  joinRoom: ({ stranger, roomId }) => stranger.join(roomId),
  leaveRoom: ({ member, roomId }) =>
    member.run(`mutation { leaveRoom(input: { roomId: "${roomId}" }) { eventCursor } }`),
  addMember: (scene) =>
    run(
      `addMember(input: { roomId: "${scene.roomId}", userId: "${scene.stranger.userId}" }) { eventCursor }`,
    )(scene),
  changeMemberRole: (scene) =>
    run(
      `changeMemberRole(input: { roomId: "${scene.roomId}", userId: "${scene.member.userId}", role: MODERATOR }) { eventCursor }`,
    )(scene),
  removeMember: (scene) =>
    run(
      `removeMember(input: { roomId: "${scene.roomId}", userId: "${scene.member.userId}" }) { eventCursor }`,
    )(scene),
};

/** Whether a commit happened whose answer was lost is looked up, and not guessed: either way it is done once. */
describe.skipIf(isMissing(services.postgres) || isMissing(services.redis))('A commit', () => {
  let place: Place;
  let wire: Wire;
  let app: App;
  let owner: Client;
  let scene: Scene;

  beforeAll(async () => {
    place = await makePlace('postgres');
    wire = await Wire.to(place.env['DATABASE_URL']!);
    const address = new URL(place.env['DATABASE_URL']!);
    address.host = new URL(wire.url).host;
    app = await startOn(place, { DATABASE_URL: address.href });
    owner = await signUp(app.url);
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await wire[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    const [member, stranger] = await Promise.all([signUp(app.url), signUp(app.url)]);
    const roomId = await owner.createRoom();
    await member.join(roomId);
    const { id: messageId } = await owner.post(roomId, 'first');
    scene = { owner, member, stranger, roomId, messageId, fileId: await upload(owner, roomId) };
  });

  const cursors = (feed: Feed): string[] =>
    feed.results.flatMap(({ roomEvents }) =>
      roomEvents.__typename === 'Checkpoint' ? [] : (roomEvents.cursor as string),
    );
  const log = async (): Promise<number> => {
    const id = Buffer.from(scene.roomId.slice('room_'.length), 'base64url').toString('hex');
    const rows = await sql<{ n: string }>(place, 'select count(*) n from room_events where room_id = $1', [
      id,
    ]);
    return Number(rows[0]!.n);
  };

  /** Whether `write` writes so many events and each is told once, though the connection breaks at `text`. */
  async function once(write: Mutation, text: string, when: When, count = 1, passing = 0): Promise<void> {
    const client = live(owner);
    const feed = subscribe(client, ROOM_EVENTS, { roomId: scene.roomId });
    await feed.take(1, 'roomEvents');
    const before = await log();
    wire.breakAt(text, when, passing);
    await write(scene);
    expect(wire.isArmed).toBe(false);
    expect(await log()).toBe(before + count);
    await owner.post(scene.roomId, 'end');
    await eventually(10_000, 'the last event', () => cursors(feed).length > count);
    expect(new Set(cursors(feed)).size).toBe(count + 1);
    await client.dispose();
  }

  describe.each(['asking', 'answering'] as const)('whose connection breaks while %s', (when) => {
    test.each(Object.entries(WRITES))('is made once, and told once: %s', async (_name, write) => {
      await once(write, 'commit', when);
    });

    test('is made once, and told once: uploadFile, at the commit that shows the file', async () => {
      // The first is that of its lease.
      await once(({ owner: user, roomId }) => upload(user, roomId), 'commit', when, 1, 1);
    });

    test.each(Object.entries(POSTS))('is made once, and told once: %s', async (_name, write) => {
      await once(write, POSTING, when);
    });

    test('is made once for all that were posted together, each with its own answer', async () => {
      const bodies = Array.from({ length: 16 }, (_, i) => `post ${i} of ${scene.roomId}`);
      const write: Mutation = async ({ member, roomId }) => {
        const answers = await Promise.all(
          bodies.map((body, i) =>
            (i % 2 === 0 ? owner : member).post(roomId, body, i % 3 === 0 ? { idempotencyKey: body } : {}),
          ),
        );
        const ids = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { body } } }`;
        const { nodes } = await owner.run(ids, { ids: answers.map(({ id }) => id) });
        expect(nodes).toEqual(bodies.map((body) => ({ body })));
        expect(new Set(answers.map(({ eventCursor }) => eventCursor)).size).toBe(16);
      };
      await once(write, bodies[9]!, when, 16);
    });

    test('is made once: createRoom', async () => {
      wire.breakAt('commit', when);
      const roomId = await owner.createRoom();
      const { room } = await owner.run(
        'query ($id: ID!) { room(id: $id) { members { totalCount } viewerMembership { role } } }',
        { id: roomId },
      );
      expect(room).toEqual({ members: { totalCount: 1 }, viewerMembership: { role: 'OWNER' } });
    });

    test('is made once: a sign-in, its refresh and its end', async () => {
      const visitor = await signUp(app.url);
      const email = `${visitor.handle}@example.com`;
      wire.breakAt('commit', when);
      const { signIn } = await new Client(app.url).run(
        'mutation ($input: SignInInput!) { signIn(input: $input) { refreshToken } }',
        { input: { email, password: PASSWORD } },
      );
      wire.breakAt('commit', when);
      const { refreshSession } = await new Client(app.url).run(
        'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { refreshToken } }',
        { input: { refreshToken: signIn.refreshToken } },
      );
      wire.breakAt('commit', when);
      const { signOut } = await new Client(app.url).run(
        'mutation ($input: SignOutInput!) { signOut(input: $input) { userId } }',
        { input: { refreshToken: refreshSession.refreshToken } },
      );
      expect(signOut.userId).toBe(visitor.userId);
    });

    test('is made once: signUp', async () => {
      wire.breakAt('insert into "users"', when);
      const visitor = await signUp(app.url);
      const { viewer } = await visitor.run('{ viewer { user { handle } } }');
      expect(viewer.user.handle).toBe(visitor.handle);
    });
  });

  test('that follows one of which the database never heard is looked up as well', async () => {
    // Posted again, now under the room's lock, the message is committed by a statement of its own.
    wire.breakAt(POSTING, 'asking');
    await once(POSTS['postMessage with a key']!, 'commit', 'answering');
  });
});

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { Session } from 'parley/client';
import { backends, makePlace, startOn, type Place } from '../support/app.js';
import { Client, PASSWORD, signUp } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { shortLivedToken } from '../support/tokens.js';
import { sql } from '../support/uploads.js';
import { Wire } from '../support/wire.js';
import type { AddFilesMutation, LineFragment } from './generated/graphql.js';
import * as apollo from './recipes/apollo.js';
import * as urql from './recipes/urql.js';

/** What the README tells a front end to do, with a client library. */
interface Recipe<Library> {
  connect(session: Session): Library;
  signIn(client: Library, session: Session, email: string, password: string): Promise<void>;
  openRoom(
    client: Library,
    roomId: string,
    view: apollo.RoomView,
    start?: { last: number } | { first: number },
  ): { older(): Promise<unknown>; newer(): Promise<unknown>; close(): void };
  say(client: Library, roomId: string, draft: apollo.Draft): Promise<LineFragment | undefined>;
  upload(client: Library, roomId: string, files: File[]): Promise<Outcomes>;
}
type Outcomes = NonNullable<AddFilesMutation['uploadFiles']>['outcomes'];

const recipes: [name: string, recipe: Recipe<any>][] = [
  ['Apollo Client', apollo],
  ['urql', urql],
];

// As in a browser.
vi.stubGlobal('WebSocket', WebSocket);

describe.each(backends)('on %s', (backend) => {
  let place: Place;
  let app: App;
  /** Between the front end under test and the server. */
  let wire: Wire;

  const restart = async (): Promise<void> => {
    await app[Symbol.asyncDispose]();
    app = await startOn(place);
  };

  beforeAll(async () => {
    place = await makePlace(backend);
    app = await startOn(place);
    wire = await Wire.to(app.url);
  });
  afterAll(async () => {
    await wire[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  let owner: Client;
  let user: Client;
  let roomId: string;
  let session: Session;

  /** A room of `owner`, with `user` in it, whose session the front end has. */
  beforeEach(async () => {
    [owner, user] = await Promise.all([signUp(app.url), signUp(app.url)]);
    roomId = await owner.createRoom();
    await user.join(roomId);
    session = new Session(`${wire.url}/graphql`);
    session.set({
      accessToken: user.token!,
      accessTokenExpiresAt: farAway(),
      refreshToken: user.refreshToken,
    });
  });

  /** The owner posts these, in one request. */
  const post = async (...bodies: string[]): Promise<void> => {
    const fields = bodies.map(
      (body, i) => `m${i}: postMessage(input: { roomId: "${roomId}", body: "${body}" }) { eventCursor }`,
    );
    await new Client(app.url, owner.token).run(`mutation { ${fields.join(' ')} }`);
  };

  describe.each(recipes)('%s', (_name, recipe) => {
    let client: unknown;
    let view: View;

    beforeEach(() => {
      client = recipe.connect(session);
      view = new View();
    });

    const open = (start?: { last: number } | { first: number }): ReturnType<typeof recipe.openRoom> => {
      const room = recipe.openRoom(client, roomId, view, start);
      view.close = () => room.close();
      return room;
    };

    test('signs in, posts, and is shown what it and others post, edit and delete', async () => {
      session.set(undefined);
      await recipe.signIn(client, session, `${user.handle}@example.com`, PASSWORD);
      expect(session.signedIn).toBe(true);

      await post('before');
      open();
      await view.shows('before');
      await recipe.say(client, roomId, { key: randomUUID(), body: 'mine' });
      await view.shows('before', 'mine');

      await post('theirs');
      await view.shows('before', 'mine', 'theirs');
      const { id } = view.lines!.at(-1)!;
      await owner.run(
        `mutation { editMessage(input: { messageId: "${id}", body: "edited" }) { eventCursor } }`,
      );
      await view.shows('before', 'mine', 'edited');
      await owner.run(`mutation { deleteMessage(input: { messageId: "${id}" }) { eventCursor } }`);
      await view.shows('before', 'mine', '');
      view.close();
    });

    test('shows what it posts at once and once, before any feed, and posts a repeat once', async () => {
      const held = new Set<Socket>();
      const silent = createServer((socket) => held.add(socket.on('error', () => undefined)));
      await once(silent.listen(0, '127.0.0.1'), 'listening');
      const { port } = silent.address() as AddressInfo;
      vi.stubGlobal(
        'WebSocket',
        class extends WebSocket {
          constructor() {
            super(`ws://127.0.0.1:${port}`, 'graphql-transport-ws');
          }
        },
      );
      client = recipe.connect(session);
      vi.stubGlobal('WebSocket', WebSocket);
      open();
      await view.shows();
      await post('theirs');
      const draft = { key: randomUUID(), body: 'mine' };
      const first = await recipe.say(client, roomId, draft);
      const again = await recipe.say(client, roomId, draft);
      expect(again?.id).toBe(first?.id);
      await view.shows('mine');
      // From now on WebSockets fail, and the feed comes by an event stream: it has what was posted before.
      silent.close();
      for (const socket of held) socket.destroy();
      await view.shows('theirs', 'mine');
      await post('later');
      await view.shows('theirs', 'mine', 'later');
      const { room } = await user.run('query ($id: ID!) { room(id: $id) { messages { totalCount } } }', {
        id: roomId,
      });
      expect(room.messages.totalCount).toBe(3);
      view.close();
    });

    test('pages back and forth: every message once, in order, with those that come meanwhile', async () => {
      const bodies = Array.from({ length: 120 }, (_, i) => String(i + 1));
      for (let i = 0; i < 120; i += 40) await post(...bodies.slice(i, i + 40));

      const newest = open();
      await view.shows(...bodies.slice(70));
      await newest.older();
      await view.shows(...bodies.slice(20));
      await post('live');
      await view.shows(...bodies.slice(20), 'live');
      await newest.older();
      await view.shows(...bodies, 'live');
      await newest.older();
      await view.shows(...bodies, 'live');
      newest.close();

      client = recipe.connect(session);
      view = new View();
      const oldest = open({ first: 50 });
      await view.shows(...bodies.slice(0, 50));
      await post('far away');
      await oldest.newer();
      await view.shows(...bodies.slice(0, 100));
      await oldest.newer();
      await view.shows(...bodies, 'live', 'far away');
      await post('here');
      await view.shows(...bodies, 'live', 'far away', 'here');
      oldest.close();
    });

    test('uploads files, of which a refused one does not stop the others, and attaches them', async () => {
      const outcomes = await recipe.upload(client, roomId, [
        new File(['first'], 'first.txt'),
        new File([Uint8Array.of(0x4d, 0x5a, 0x90, 0, 3)], 'program.exe'),
        new File(['x'.repeat(200_000)], 'second.txt'),
      ]);
      expect(outcomes).toMatchObject([
        { __typename: 'UploadedFile', file: { name: 'first.txt' } },
        { __typename: 'RejectedFile', name: 'program.exe', code: 'FILE_TYPE_NOT_ALLOWED' },
        { __typename: 'UploadedFile', file: { name: 'second.txt' } },
      ]);
      const files = outcomes.flatMap((one) => (one.__typename === 'UploadedFile' ? one.file : []));
      open();
      const fileIds = files.map(({ id }) => id);
      await recipe.say(client, roomId, { key: randomUUID(), body: 'look', fileIds });
      await view.shows('look');
      const [shown] = view.lines![0]!.files;
      expect(await (await fetch(shown!.url)).text()).toBe('first');
      view.close();
    });

    test('misses nothing of what happens while the server is away', async () => {
      await post('before');
      open();
      await view.shows('before');
      await post('live');
      await view.shows('before', 'live');

      wire.cut();
      await post('while cut off');
      await restart();
      await post('after the restart', 'and more');
      wire.mend(app.url);
      await view.shows('before', 'live', 'while cut off', 'after the restart', 'and more');
      await post('live again');
      await view.shows('before', 'live', 'while cut off', 'after the restart', 'and more', 'live again');
      view.close();
    });

    test('goes on with a fresh token when its own has run out', async () => {
      session.set({
        accessToken: await shortLivedToken(place, user, 1),
        accessTokenExpiresAt: farAway(),
        refreshToken: user.refreshToken,
      });
      open();
      await view.shows();
      const first = await session.accessToken();
      await eventually(10_000, 'a fresh token', async () => (await session.accessToken()) !== first);
      await post('after it ran out');
      await view.shows('after it ran out');
      view.close();
    });

    test('is told when the user was removed, and when their sign-in has ended', async () => {
      open();
      await view.shows();
      await owner.run(
        `mutation { removeMember(input: { roomId: "${roomId}", userId: "${user.userId}" }) { memberId } }`,
      );
      expect(await view.ended()).toContain('FORBIDDEN');
      view.close();

      view = new View();
      roomId = await user.createRoom();
      open();
      await view.shows();
      await user.run(`mutation { signOut(input: { refreshToken: "${user.refreshToken}" }) { userId } }`);
      expect(await view.ended()).toContain('UNAUTHENTICATED');
      expect(session.signedIn).toBe(false);
      view.close();
    });

    test.skipIf(backend === 'embedded')(
      'reads the list anew when the log no longer has its place',
      async () => {
        await post('before');
        open();
        await view.shows('before');
        wire.cut();
        await post('missed');
        await sql(place, 'delete from room_events using rooms where rooms.id = room_id and seq < last_seq');
        wire.mend();
        await view.shows('before', 'missed');
        await post('live');
        await view.shows('before', 'missed', 'live');
        view.close();
      },
    );
  });
});

/** What a user would see. */
class View implements apollo.RoomView {
  lines: readonly LineFragment[] | undefined;
  close: () => void = () => undefined;
  private error: Failure | undefined;

  show(lines: readonly LineFragment[]): void {
    this.lines = lines;
  }

  onEnd(error: unknown): void {
    this.error = error as Failure;
  }

  async shows(...bodies: string[]): Promise<void> {
    await eventually(20_000, 'what is shown', () => {
      if (this.error !== undefined) throw this.error;
      expect(this.lines?.map(({ body }) => body)).toEqual(bodies);
      return true;
    });
  }

  /** The codes that it ended with. */
  async ended(): Promise<string[]> {
    const { errors, graphQLErrors } = await eventually(10_000, 'the end', () => this.error);
    return (errors ?? graphQLErrors ?? []).map(({ extensions }) => extensions.code);
  }
}

/** Apollo Client's error, or urql's. */
interface Failure extends Error {
  readonly errors?: readonly { readonly extensions: { readonly code: string } }[];
  readonly graphQLErrors?: Failure['errors'];
}

const farAway = (): string => new Date(Date.now() + 3_600_000).toISOString();

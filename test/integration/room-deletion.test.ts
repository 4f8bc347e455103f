import { randomBytes } from 'node:crypto';
import type { Client as WsClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { readConfig } from '../../src/config/env.js';
import { withDatabase } from '../../src/db/command.js';
import { REMOVE_ROOM } from '../../src/rooms/room-removal.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, startOn, type Place } from '../support/app.js';
import { Client, signUp, word, type Variables } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { ServerProcess } from '../support/process.js';
import { createUpload } from '../support/resumable.js';
import { isMissing, services } from '../support/services.js';
import { withClient } from '../support/services/databases.js';
import { multipart, namesStored, oneFile, PNG, sql } from '../support/uploads.js';

const MIB = 1024 * 1024;
const DELETE_ROOM = `mutation ($input: DeleteRoomInput!) { deleteRoom(input: $input) { deletedRoomId } }`;
const remove = (who: Client, roomId: string): Promise<unknown> => who.run(DELETE_ROOM, { input: { roomId } });

const picture = (): Buffer<ArrayBuffer> => Buffer.concat([PNG, randomBytes(1000)]);

async function upload(who: Client, roomId: string, bytes = picture()): Promise<{ id: string; url: string }> {
  const { data, errors } = await who.upload(roomId, 'a.png', bytes);
  expect(errors).toEqual([]);
  return data['uploadFile'].file as { id: string; url: string };
}

const usedBy = async (who: Client): Promise<number> => {
  const { viewer } = await who.run('{ viewer { storage { usedBytes } } }');
  return viewer.storage.usedBytes as number;
};

const MUTATIONS: Record<string, (roomId: string, userId: string) => Variables> = {
  deleteRoom: (roomId) => ({ roomId }),
  joinRoom: (roomId) => ({ roomId }),
  leaveRoom: (roomId) => ({ roomId }),
  addMember: (roomId, userId) => ({ roomId, userId }),
  removeMember: (roomId, userId) => ({ roomId, userId }),
  changeMemberRole: (roomId, userId) => ({ roomId, userId, role: 'MODERATOR' }),
  postMessage: (roomId) => ({ roomId, body: 'still here?' }),
  setTyping: (roomId) => ({ roomId, typing: true }),
};
const documentOf = (name: string): string => {
  const type = `${name[0]!.toUpperCase()}${name.slice(1)}Input`;
  return `mutation ($input: ${type}!) { ${name}(input: $input) { __typename } }`;
};

/** How many rows are left of deleted rooms, and of the work on them. An embedded database must not be in use. */
async function left(place: Place): Promise<number> {
  const config = readConfig(environmentOf(place));
  return withDatabase(config, createLogger('silent'), async (db) => {
    const gone = await db.selectFrom('rooms').select('id').where('deleted_at', 'is not', null).execute();
    const jobs = await db.selectFrom('jobs').select('subject').where('kind', '=', REMOVE_ROOM).execute();
    return gone.length + jobs.length;
  });
}

describe.each(backends)('A room that is deleted, on %s', { timeout: 120_000 }, (backend) => {
  let place: Place;
  let apps: App[];
  let owner: Client;
  let member: Client;
  /** The member, at another process where there may be one. */
  let elsewhere: Client;
  const sockets: WsClient[] = [];
  /** Files of rooms that stay. */
  let keptFiles = 0;

  beforeAll(async () => {
    place = await makePlace(backend);
    apps = [await startOn(place)];
    if (backend === 'postgres') apps.push(await startOn(place));
    [owner, member] = await Promise.all([signUp(apps[0]!.url), signUp(apps[0]!.url)]);
    elsewhere = new Client(apps.at(-1)!.url, member.token, member.userId);
  });
  afterAll(async () => {
    for (const socket of sockets) await socket.dispose();
    for (const app of apps) await app[Symbol.asyncDispose]();
    try {
      // The last of it may have been under way when they stopped: a server that starts goes on.
      await eventually(60_000, 'nothing to be left of rooms', async () => {
        if ((await left(place)) === 0) return true;
        await (await startOn(place))[Symbol.asyncDispose]();
        return false;
      });
    } finally {
      await place[Symbol.asyncDispose]();
    }
  });

  const socketOf = (who: Client): WsClient => {
    const socket = live(who, { lazy: false });
    sockets.push(socket);
    return socket;
  };

  /** Resolves once storage holds so many files. */
  const bytesAre = (count: number): Promise<true> =>
    eventually(30_000, `${count} files are stored`, async () => {
      const names = await namesStored(place);
      if (names.length !== count) throw new Error(`${names.length} are stored`);
      return true as const;
    });

  test('is there for nobody from then on, nor is what it held, and its slug is free', async () => {
    const slug = `room-${word()}`;
    const roomId = await owner.createRoom('PUBLIC', slug);
    const other = await owner.createRoom();
    await member.join(roomId);
    const shared = picture();
    const [file, same, kept] = [
      await upload(member, roomId),
      await upload(owner, roomId, shared),
      await upload(owner, other, shared),
    ];
    const first = await owner.post(roomId, 'first', { fileIds: [same.id] });
    const uploadId = (await createUpload(member, roomId, 1000))['id'] as string;
    const before = await usedBy(member);
    const message = await member.post(roomId, 'second', { replyToId: first.id, fileIds: [file.id] });
    expect(await member.refusal(DELETE_ROOM, { input: { roomId } })).toBe('FORBIDDEN');

    expect(await owner.run(DELETE_ROOM, { input: { roomId } })).toEqual({
      deleteRoom: { deletedRoomId: roomId },
    });
    for (const who of [owner, member, elsewhere]) {
      const seen = await who.run(
        `query ($roomId: ID!, $slug: String!, $ids: [ID!]!) {
          room(id: $roomId) { id } roomBySlug(slug: $slug) { id } nodes(ids: $ids) { id }
          rooms(first: 100, filter: { joined: true }) { edges { node { id } } } }`,
        { roomId, slug, ids: [roomId, message.id, file.id, same.id] },
      );
      expect(seen).toMatchObject({ room: null, roomBySlug: null, nodes: [null, null, null, null] });
      expect(JSON.stringify(seen['rooms'])).not.toContain(roomId);
      for (const [name, input] of Object.entries(MUTATIONS)) {
        const code = await who.refusal(documentOf(name), { input: input(roomId, member.userId) });
        expect([name, code]).toEqual([name, 'NOT_FOUND']);
      }
      const { errors } = await who.upload(roomId, 'a.png', picture());
      expect(errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
      const edit = `mutation ($input: EditMessageInput!) { editMessage(input: $input) { eventCursor } }`;
      expect(await who.refusal(edit, { input: { messageId: message.id, body: 'x' } })).toBe('NOT_FOUND');
      const feed = subscribe(socketOf(who), ROOM_EVENTS, { roomId });
      await feed.end();
      expect(feed.codes).toEqual(['NOT_FOUND']);
    }
    for (const { url } of [file, same]) expect((await fetch(url)).status).toBe(410);
    expect((await fetch(kept.url)).status).toBe(200);
    await owner.createRoom('PRIVATE', slug);
    keptFiles += 1;
    await bytesAre(keptFiles);
    // What it held counts no more, and what was on its way has ended.
    await eventually(30_000, 'its files to count no more', async () => (await usedBy(member)) < before);
    expect(await usedBy(member)).toBe(0);
    const { upload: session } = await member.run('query ($id: ID!) { upload(id: $id) { state } }', {
      id: uploadId,
    });
    expect(session).toBeNull();
    const { files } = await member.run('{ files { totalCount edges { node { id } } } }');
    expect(files).toEqual({ totalCount: 0, edges: [] });
    expect((await fetch(kept.url)).status).toBe(200);
  });

  test('ends whoever follows it, on every process, wherever they stand', async () => {
    const roomId = await owner.createRoom();
    await member.join(roomId);
    for (let i = 0; i < 5; i += 1) await member.post(roomId, `message ${i}`);
    const feeds = [owner, elsewhere].flatMap((who) => {
      const socket = socketOf(who);
      return [
        subscribe(socket, ROOM_EVENTS, { roomId, last: 3 }),
        subscribe(socket, `subscription ($roomId: ID!) { messageAdded(roomId: $roomId) { cursor } }`, {
          roomId,
        }),
        subscribe(socket, `subscription ($roomId: ID!) { fileAdded(roomId: $roomId) { cursor } }`, {
          roomId,
        }),
        subscribe(socket, `subscription ($roomId: ID!) { typing(roomId: $roomId) { __typename } }`, {
          roomId,
        }),
      ];
    });
    // All have begun: each is told of what happens now.
    const [one, message, file, typing] = feeds.slice(4);
    await one!.take(3, 'roomEvents');
    await eventually(10_000, 'all are live', async () => {
      await member.post(roomId, 'live?');
      await upload(owner, roomId);
      await owner.run(documentOf('setTyping'), { input: { roomId, typing: true } });
      return [message, file, typing].every((feed) => feed!.results.length > 0);
    });
    await remove(owner, roomId);
    for (const feed of feeds) {
      await feed.end();
      expect(feed.codes).toEqual(['NOT_FOUND']);
      expect(JSON.stringify(feed.results)).not.toContain('errors');
    }
  });

  test('takes no file that was on its way, and keeps nothing of it', async () => {
    const roomId = await owner.createRoom();
    await member.join(roomId);
    await bytesAre(keptFiles);
    const request = await multipart(member).head(...oneFile(roomId));
    await request.beginFile('file', 'x.png');
    await request.raw(Buffer.concat([PNG, randomBytes(3 * MIB)]));
    await eventually(10_000, 'it is being stored', async () => (await namesStored(place)).length > keptFiles);
    await remove(owner, roomId);
    await request.raw(randomBytes(300_000));
    await request.raw('\r\n');
    const { errors } = JSON.parse((await request.end()).body);
    expect(errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
    await bytesAre(keptFiles);
  });

  test('takes what comes before its end and nothing after it, when both come at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const roomId = await owner.createRoom();
      await member.join(roomId);
      const input = { input: { roomId, body: 'me too' } };
      const posts = Array.from({ length: 20 }, (_, i) =>
        [member, elsewhere, owner][i % 3]!.ask(documentOf('postMessage'), input),
      );
      const deletion = remove(owner, roomId);
      const codes = (await Promise.all(posts)).map(({ errors }) => errors[0]?.extensions['code'] ?? 'posted');
      await deletion;
      expect(codes.filter((code) => code !== 'posted' && code !== 'NOT_FOUND')).toEqual([]);
      expect(await owner.refusal(documentOf('postMessage'), input)).toBe('NOT_FOUND');
    }
  });

  test.runIf(backend === 'postgres')('leaves no row, also of one that held much', async () => {
    const roomId = await owner.createRoom();
    const id = Buffer.from(roomId.slice('room_'.length), 'base64url').toString('hex');
    await sql(
      place,
      `with author as (select actor_id as id from room_events where room_id = $1),
        post as (
          insert into messages (id, room_id, seq, author_id, body, created_at, reply_to_id)
          select gen_random_uuid(), $1, n, id, 'body', now(), null from author, generate_series(2, 1600) n
          returning id, seq),
        log as (
          insert into room_events (room_id, seq, tag, kind, at, message_id)
          select $1, seq, 't', 'MESSAGE_ADDED', now(), id from post)
        update rooms set last_seq = 1600, last_tag = 't' where id = $1`,
      [id],
    );
    await remove(owner, roomId);
    for (const table of ['messages', 'files', 'memberships', 'removals', 'room_events'])
      await eventually(30_000, `${table} are gone`, async () => {
        const [row] = await sql<{ n: number }>(
          place,
          `select count(*)::int as n from ${table} where room_id = $1`,
          [id],
        );
        return row?.n === 0;
      });
    await eventually(30_000, 'the room and the job are gone', async () => (await left(place)) === 0);
  });
});

describe.skipIf(isMissing(services.postgres))('A server that dies', () => {
  test('while it empties a deleted room leaves the rest to another one', { timeout: 180_000 }, async () => {
    await using place = await makePlace('postgres');
    {
      await using server = await ServerProcess.start(place);
      const owner = await signUp(server.url);
      const roomId = await owner.createRoom();
      for (let i = 0; i < 3; i += 1) {
        const { id } = await upload(owner, roomId);
        await owner.post(roomId, 'with a file', { fileIds: [id] });
      }
      await withClient(place.env['DATABASE_URL']!, async (client) => {
        // The messages have gone when it comes to the files, and there it stands still.
        await client.query(`
            create function wait_for_test() returns trigger language plpgsql as
              $$ begin perform pg_advisory_xact_lock(4712); return old; end $$;
            create trigger wait_for_test before delete on files
              for each row execute function wait_for_test();
            select pg_advisory_lock(4712)`);
        await remove(owner, roomId);
        await eventually(30_000, 'the messages are gone', async () => {
          const [row] = await sql<{ n: number }>(place, 'select count(*)::int as n from messages');
          return row?.n === 0;
        });
        await server.kill('SIGKILL');
        await client.query('select pg_advisory_unlock(4712)');
        await client.query('drop function wait_for_test cascade');
      });
    }
    expect(await left(place)).toBe(2);
    // As when its hold has run out.
    await sql(place, 'update jobs set run_at = now()');
    await using _next = await startOn(place);
    await eventually(30_000, 'all is gone', async () => (await left(place)) === 0);
    for (const table of ['files', 'blobs', 'memberships', 'room_events', 'rooms', 'jobs'])
      expect(await sql(place, `select from ${table}`)).toEqual([]);
    await eventually(30_000, 'the bytes are gone', async () => (await namesStored(place)).length === 0);
  });
});

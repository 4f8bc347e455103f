import { once } from 'node:events';
import { getNamedType, isInterfaceType, isLeafType, isObjectType, isRequiredArgument } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { App } from '../../src/app.js';
import { doesNeedViewer } from '../../src/graphql/needs-viewer.js';
import { schema } from '../../src/schema.js';
import { backends, startParley } from '../support/app.js';
import { signUp, type Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { EventStream } from '../support/event-stream.js';
import { live, subscribe, type Feed } from '../support/live.js';
import { fieldsOf } from '../support/selection.js';
import { statementsOf } from '../support/statements.js';
import { sql } from '../support/uploads.js';

/** Everything below a type that is the same for every viewer. */
function shared(typeName: string, depth: number): string {
  const type = schema.getType(typeName);
  const kinds =
    isInterfaceType(type) && type.name !== 'Node'
      ? schema.getPossibleTypes(type).map(({ name }) => `... on ${name} ${shared(name, depth)}`)
      : [];
  const fields = fieldsOf(typeName).flatMap((field) => {
    if (doesNeedViewer(field) || field.args.some(isRequiredArgument)) return [];
    const of = getNamedType(field.type);
    if (isLeafType(of)) return field.name;
    return depth === 0 ? [] : `${field.name} ${shared(of.name, depth - 1)}`;
  });
  return `{ __typename ${[...fields, ...kinds].join(' ')} }`;
}

const OWN = `subscription ($roomId: ID!) { roomEvents(roomId: $roomId) {
  __typename room { viewerMembership { role user { handle } } } } }`;
const BODIES = 'subscription ($roomId: ID!) { messageAdded(roomId: $roomId) { cursor message { body } } }';
const RESUMED = `subscription ($roomId: ID!, $after: String) {
  messageAdded(roomId: $roomId, after: $after) { cursor message { body } } }`;

describe.each(backends)('Many who follow one room, on %s', (backend) => {
  let app: Awaited<ReturnType<typeof startParley>>;
  let ada: Client;
  let bob: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley(backend);
    [ada, bob] = await Promise.all([signUp(app.url), signUp(app.url)]);
    roomId = await ada.createRoom();
    await bob.join(roomId);
  });
  afterAll(() => app[Symbol.asyncDispose]());

  const bodiesOf = (feed: Feed): string[] =>
    feed.results.map(({ messageAdded }) => messageAdded.message.body as string);
  /** Posts until all are following, and answers how many each has been sent by then. */
  const following = async (feeds: readonly Feed[]): Promise<void> => {
    await eventually(10_000, 'all to follow', async () => {
      await ada.post(roomId, 'probe');
      return feeds.every(({ results }) => results.length > 0);
    });
  };

  test('are told what this process has posted without a look into the database', async () => {
    const client = live(bob);
    const feed = subscribe(
      client,
      'subscription ($roomId: ID!) { messageAdded(roomId: $roomId) { message { body createdAt author { handle } files { id } } } }',
      { roomId },
    );
    await following([feed]);
    const told = (body: string) =>
      eventually(10_000, `to be told ${body}`, () => bodiesOf(feed).includes(body));
    await ada.post(roomId, 'the last before');
    await told('the last before');
    const statements = await statementsOf(async () => {
      await ada.post(roomId, 'known');
      await told('known');
    });
    expect(feed.results.at(-1)).toMatchObject({
      messageAdded: { message: { body: 'known', author: { handle: ada.handle }, files: [] } },
    });
    const reading = statements.filter(({ text }) =>
      /from "?(room_events|messages|message_files)"?|from "users"/.test(text),
    );
    expect(reading).toEqual([]);
    await client.dispose();
  });

  test('are told of an error without a place in a document, since each has its own', async () => {
    const clients = [live(ada), live(bob)];
    const selection = `{ __typename cursor ... on FileAdded { file { name url(expiresIn: 0) } } }`;
    const feeds = [
      subscribe(clients[0]!, `subscription ($roomId: ID!) { roomEvents(roomId: $roomId) ${selection} }`, {
        roomId,
      }),
      subscribe(
        clients[1]!,
        `# The same, written otherwise.\n\n subscription ($roomId: ID!) {\n  roomEvents(roomId: $roomId)\n   ${selection} }`,
        { roomId },
      ),
    ];
    for (const feed of feeds) await feed.take(1, 'roomEvents');
    await ada.upload(roomId, 'a.txt', 'text');
    for (const feed of feeds) {
      const error = await eventually(10_000, 'the error', () =>
        feed.error === undefined ? feed.results.find(({ errors }) => errors)?.errors : feed.error,
      );
      expect(error).toEqual([
        expect.objectContaining({ extensions: expect.objectContaining({ code: 'BAD_USER_INPUT' }) }),
      ]);
      expect(error[0]).not.toHaveProperty('locations');
    }
    for (const client of clients) await client.dispose();
  });

  test('are shown each their own where a field hangs on who asks', async () => {
    const clients = [live(ada), live(bob)];
    const feeds = clients.map((client) => subscribe(client, OWN, { roomId }));
    await Promise.all(feeds.map((feed) => feed.take(1, 'roomEvents')));
    await ada.post(roomId, 'to both');
    const [adas, bobs] = await Promise.all(feeds.map((feed) => feed.take(2, 'roomEvents')));
    const membership = (role: string, { handle }: Client) => ({
      room: { viewerMembership: { role, user: { handle } } },
    });
    expect(adas).toMatchObject([membership('OWNER', ada), membership('OWNER', ada)]);
    expect(bobs).toMatchObject([membership('MEMBER', bob), membership('MEMBER', bob)]);
    for (const client of clients) await client.dispose();
  });

  test('are shown everything else by an execution that knows no viewer', async () => {
    const query = `subscription ($roomId: ID!, $last: Int) {
      roomEvents(roomId: $roomId, last: $last) ${shared('RoomEvent', 2)} }`;
    await bob.upload(roomId, 'a.txt', 'a');
    const client = live(bob);
    const feed = subscribe(client, query, { roomId, last: 100 });
    await eventually(10_000, 'the end of the replay', () =>
      feed.results.some(({ roomEvents }) => roomEvents.__typename === 'Checkpoint'),
    );
    expect(new Set(feed.results.map(({ roomEvents }) => roomEvents.__typename))).toEqual(
      new Set(['MemberJoined', 'MessageAdded', 'FileAdded', 'Checkpoint']),
    );
    expect(feed.results.filter(({ errors }) => errors !== undefined)).toEqual([]);
    const typing = subscribe(
      client,
      `subscription ($roomId: ID!) { typing(roomId: $roomId) ${shared('TypingChanged', 2)} }`,
      { roomId },
    );
    await eventually(10_000, 'someone to type', async () => {
      await ada.run('mutation ($id: ID!) { setTyping(input: { roomId: $id, typing: true }) { expiresAt } }', {
        id: roomId,
      });
      return typing.results.length > 0 || typing.isOver;
    });
    expect(typing.results[0]).toMatchObject({ typing: { typing: true } });
    await client.dispose();
  });

  test('are shown nothing by a field that hangs on who asks and does not say so', async () => {
    const type = schema.getType('Room');
    if (!isObjectType(type)) throw new Error('there is no room');
    const field = type.getFields()['viewerMembership']!;
    const { extensions } = field;
    field.extensions = {};
    const clients = [live(ada), live(bob)];
    try {
      // Another text than above, whose selection is known already.
      const feeds = clients.map((client) =>
        subscribe(client, OWN.replace('__typename', '__typename cursor'), { roomId }),
      );
      await eventually(10_000, 'both to be told something', () =>
        feeds.every(({ results, isOver }) => isOver || results.length > 0),
      );
      for (const feed of feeds) {
        expect(feed.results[0]).toMatchObject({
          roomEvents: { room: { viewerMembership: null } },
          errors: [{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
        });
      }
    } finally {
      field.extensions = extensions;
      for (const client of clients) await client.dispose();
    }
  });

  test('cost one reading of what is shown, however many they are and however they ask', async () => {
    const spellings: [string, Record<string, unknown>][] = [
      [BODIES, { roomId }],
      [
        BODIES.replace('$roomId: ID!', '$roomId: ID!, $after: String').replace(
          ': $roomId)',
          ': $roomId, after: $after)',
        ),
        { roomId },
      ],
      [`subscription { messageAdded(roomId: "${roomId}") { cursor, message { body } } }`, {}],
    ];
    const clients = [live(ada), live(bob)];
    const feeds: Feed[] = [];
    const costOfAPost = async (): Promise<number> => {
      await following(feeds);
      const counts = feeds.map(({ results }) => results.length);
      const statements = await statementsOf(async () => {
        await ada.post(roomId, 'counted');
        await eventually(10_000, 'all to have it', () =>
          feeds.every((feed, i) => feed.results.length > counts[i]! && bodiesOf(feed).at(-1) === 'counted'),
        );
      });
      // What runs by a timer may fall into it.
      return statements.filter(({ text }) => /"messages"|"room_events"/.test(text)).length;
    };
    feeds.push(subscribe(clients[0]!, ...spellings[0]!));
    const alone = await costOfAPost();
    for (let i = 0; i < 30; i++) feeds.push(subscribe(clients[i % 2]!, ...spellings[i % 3]!));
    // The feed may look at the log once more; each of them for themselves would ask thirty times.
    expect(await costOfAPost()).toBeLessThan(alone + 5);
    for (const client of clients) await client.dispose();
  });

  test('go on when one of them is removed, who is told so and nothing more', async () => {
    const eve = await signUp(app.url);
    await eve.join(roomId);
    const clients = [live(ada), live(bob), live(eve)];
    const feeds = clients.map((client) => subscribe(client, BODIES, { roomId }));
    await following(feeds);
    await ada.run('mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { eventCursor } }', {
      input: { roomId, userId: eve.userId },
    });
    await ada.post(roomId, 'without eve');
    await eventually(10_000, 'the others to have it', () =>
      feeds.slice(0, 2).every((feed) => bodiesOf(feed).at(-1) === 'without eve'),
    );
    await feeds[2]!.end();
    expect(feeds[2]!.codes).toEqual(['FORBIDDEN']);
    expect(bodiesOf(feeds[2]!)).not.toContain('without eve');
    for (const client of clients) await client.dispose();
  });

  test('come back all at once, each from a place of their own, and miss and repeat nothing', async () => {
    const before = await ada.post(roomId, 'crowd 0');
    const cursors = [before.eventCursor];
    for (let i = 1; i < 40; i++) cursors.push((await ada.post(roomId, `crowd ${i}`)).eventCursor);
    const query = `subscription ($roomId: ID!, $after: String) {
      messageAdded(roomId: $roomId, after: $after) { message { body } } }`;
    const clients = Array.from({ length: 8 }, (_, i) => live(i % 2 === 0 ? ada : bob));
    // They are connected, so that what is counted is their coming back.
    await Promise.all(
      clients.map(async (client) => {
        const warm = subscribe(client, '{ __typename }');
        await warm.end();
      }),
    );
    const feeds: Feed[] = [];
    const statements = await statementsOf(async () => {
      for (let i = 0; i < 200; i++) {
        feeds.push(subscribe(clients[i % 8]!, query, { roomId, after: cursors[i % 40] }));
      }
      await ada.post(roomId, 'crowd 40');
      await eventually(20_000, 'all to have caught up', () =>
        feeds.every((feed) => bodiesOf(feed).at(-1) === 'crowd 40'),
      );
    });
    feeds.forEach((feed, i) => {
      expect(bodiesOf(feed)).toEqual(
        Array.from({ length: 40 - (i % 40) }, (_, n) => `crowd ${(i % 40) + n + 1}`),
      );
    });
    // Every one is checked for the right to read; what they missed is read for all together.
    const reads = statements.filter(({ text }) => /^select .* from "messages"/.test(text));
    expect(reads.length).toBeLessThan(60);
    for (const client of clients) await client.dispose();
  });

  test('share what is shown between sockets and event streams', async () => {
    const client = live(ada);
    const feeds = [subscribe(client, BODIES, { roomId }), subscribe(client, BODIES, { roomId })];
    await following(feeds);
    const stream = await EventStream.open(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...bob.headers() },
      body: JSON.stringify({ query: BODIES, variables: { roomId } }),
    });
    await eventually(10_000, 'the stream to follow', async () => {
      await ada.post(roomId, 'probe');
      return stream.events.some(({ event }) => event === 'next');
    });
    await ada.post(roomId, 'on every wire');
    await eventually(
      10_000,
      'all to have it',
      () =>
        feeds.every((feed) => bodiesOf(feed).at(-1) === 'on every wire') &&
        stream.events.at(-1)?.data?.data.messageAdded.message.body === 'on every wire',
    );
    const last = feeds[0]!.results.at(-1).messageAdded;
    expect(stream.events.at(-1)).toEqual({
      id: last.cursor,
      event: 'next',
      data: { data: { messageAdded: last } },
    });
    stream.close();
    await client.dispose();
  });

  test('are told of a message as it is when they come back for it, whatever is known of how it was posted', async () => {
    const [first, later] = [live(bob), live(bob)];
    const feed = subscribe(first, BODIES, { roomId });
    await following([feed]);
    const { eventCursor: after } = await ada.post(roomId, 'the last before');
    const { id } = await ada.post(roomId, 'as it was posted');
    await eventually(10_000, 'to be told', () => bodiesOf(feed).includes('as it was posted'));
    await ada.run(
      'mutation ($id: ID!) { editMessage(input: { messageId: $id, body: "as it is now" }) { eventCursor } }',
      { id },
    );
    const resumed = subscribe(later, RESUMED, { roomId, after });
    await resumed.take(1, 'messageAdded');
    expect(bodiesOf(resumed)).toEqual(['as it is now']);
    await Promise.all([first.dispose(), later.dispose()]);
  });

  test.runIf(backend === 'postgres')(
    'are told of a message as it is when they come back for it, also where nobody was woken by what changed it',
    async () => {
      const [first, later] = [live(bob), live(bob)];
      const feed = subscribe(first, BODIES, { roomId });
      await following([feed]);
      const { eventCursor: after } = await ada.post(roomId, 'the last before');
      const { id } = await ada.post(roomId, 'before a silent edit');
      await eventually(10_000, 'to be told', () => bodiesOf(feed).includes('before a silent edit'));
      // As another process commits it whose wake-up is lost, or still on its way.
      await sql(
        app.place,
        `with message as (update messages set body = 'after it', edited_at = now() where id = $1 returning id, room_id),
          room as (
            update rooms set last_seq = last_seq + 1, last_tag = 'AAAAAAAAAAA'
            where id = (select room_id from message) returning id, last_seq)
          insert into room_events (room_id, seq, tag, kind, at, message_id)
          select room.id, last_seq, 'AAAAAAAAAAA', 'MESSAGE_EDITED', now(), message.id from room, message`,
        [Buffer.from(id.slice('msg_'.length), 'base64url').toString('hex')],
      );
      const resumed = subscribe(later, RESUMED, { roomId, after });
      await resumed.take(1, 'messageAdded');
      expect(bodiesOf(resumed)).toEqual(['after it']);
      await Promise.all([first.dispose(), later.dispose()]);
    },
  );
});

describe.each([true, false])('Sockets of a server that compresses: %s', (compression) => {
  let app: App;
  let ada: Client;
  let roomId: string;

  beforeAll(async () => {
    app = await startParley('embedded', { SOCKET_COMPRESSION: String(compression) });
    ada = await signUp(app.url);
    roomId = await ada.createRoom();
  });
  afterAll(() => app[Symbol.asyncDispose]());

  interface ByHand {
    readonly ws: WebSocket;
    readonly bodies: string[];
  }

  async function follow(perMessageDeflate: boolean): Promise<ByHand> {
    const ws = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      perMessageDeflate,
    });
    const bodies: string[] = [];
    ws.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString());
      if (message.type === 'next') bodies.push(message.payload.data.messageAdded.message.body);
    });
    await once(ws, 'open');
    ws.send(JSON.stringify({ type: 'connection_init', payload: ada.headers() }));
    await once(ws, 'message');
    ws.send(
      JSON.stringify({ type: 'subscribe', id: '1', payload: { query: BODIES, variables: { roomId } } }),
    );
    return { ws, bodies };
  }

  test('send those who ask for it and those who do not the same, in order', async () => {
    const all = [await follow(true), await follow(false), await follow(true)];
    expect(all.map(({ ws }) => ws.extensions !== '')).toEqual([compression, false, compression]);
    await eventually(10_000, 'all to follow', async () => {
      await ada.post(roomId, 'probe');
      return all.every(({ bodies }) => bodies.length > 0);
    });
    const sent = Array.from({ length: 60 }, (_, i) => `${i} ${'ab€'.repeat(i % 3 === 0 ? 3000 : 1)}`);
    all[2]!.ws.pause();
    for (const body of sent) await ada.post(roomId, body);
    all[2]!.ws.resume();
    const told = ({ bodies }: ByHand) => bodies.filter((body) => body !== 'probe');
    await eventually(10_000, 'all to have all', () => all.every((one) => told(one).length === sent.length));
    for (const one of all) {
      expect(told(one)).toEqual(sent);
      one.ws.terminate();
    }
  });
});

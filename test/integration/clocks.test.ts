import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { backends, environmentOf, makePlace, type Place } from '../support/app.js';
import { Client, signUp } from '../support/client.js';
import { Command } from '../support/command.js';
import { closed, connect } from '../support/connected-socket.js';
import { eventually } from '../support/deadline.js';
import { live, ROOM_EVENTS, subscribe } from '../support/live.js';
import { createUpload, picture, tusRequest, uploadOf, type Session } from '../support/resumable.js';
import { clockOff, isMissing, locationOf, services } from '../support/services.js';
import { shortLivedToken } from '../support/tokens.js';
import { sql } from '../support/uploads.js';

// Each starts several programs.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const DAY = 86_400_000;
const REFRESH = `mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) {
  accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt } }`;

/** A server whose clock is off. */
class Server implements AsyncDisposable {
  private constructor(
    private readonly command: Command,
    readonly url: string,
  ) {}

  /** `offset`: such as `+40d`; none for a clock that is right. */
  static async start(place: Place, offset?: string): Promise<Server> {
    const clock = offset === undefined ? {} : clockOff(locationOf(services.faketime), offset);
    const env = environmentOf(place, { LOG_LEVEL: 'info', ...clock });
    const command = new Command('main', [], { cwd: place.dataDir, env });
    return new Server(command, await command.ready());
  }

  /** What it has said about clocks. */
  get lines(): string[] {
    return this.command.stderr.split('\n').filter((line) => /"msg":"the (clock|database's clock)/.test(line));
  }

  /** The same user at this server. */
  as(user: Client, token = user.token): Client {
    return new Client(this.url, token, user.userId, user.refreshToken, user.handle);
  }

  /** The same address here. */
  at(url: string): string {
    const { pathname, search } = new URL(url);
    return this.url + pathname + search;
  }

  async refresh(token: string): Promise<Record<string, string>> {
    return (await new Client(this.url).run(REFRESH, { token }))['refreshSession'];
  }

  async stop(): Promise<void> {
    this.command.signal('SIGTERM');
    await this.command.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.command[Symbol.asyncDispose]();
  }
}

/** A room with events, an idempotency key, and an upload of which a part has arrived. */
class Conversation {
  private constructor(
    readonly user: Client,
    readonly roomId: string,
    private readonly first: string,
    private readonly upload: Session,
    private readonly bytes: Buffer,
  ) {}

  static async on(server: Server): Promise<Conversation> {
    const user = await signUp(server.url);
    const roomId = await user.createRoom();
    const { id } = await user.post(roomId, 'one', { idempotencyKey: 'first' });
    await user.post(roomId, 'two');
    const bytes = picture(100_000);
    const upload = await createUpload(user, roomId, bytes.length);
    const conversation = new Conversation(user, roomId, id, upload, bytes);
    await conversation.send(server, upload['token'].token as string, 0, 50_000);
    return conversation;
  }

  /** Expects all of it to be there, as `user` sees it at a server. */
  async isWhole(user: Client): Promise<void> {
    const client = live(user);
    const feed = subscribe(client, ROOM_EVENTS, { roomId: this.roomId, last: 3 });
    expect((await feed.take(4, 'roomEvents')).map(({ __typename }) => __typename as string)).toEqual([
      'MemberJoined',
      'MessageAdded',
      'MessageAdded',
      'Checkpoint',
    ]);
    expect(feed.codes).toEqual([]);
    await client.dispose();
    expect((await user.post(this.roomId, 'one', { idempotencyKey: 'first' })).id).toBe(this.first);
  }

  /** Sends the rest of the upload, by a token that the server gives. */
  async finish(server: Server): Promise<void> {
    const now = await uploadOf(server.as(this.user), this.upload['id'] as string);
    expect(now).toMatchObject({ state: 'RECEIVING', offset: 50_000 });
    await this.send(server, now!['token'].token as string, 50_000, 100_000);
  }

  private async send(server: Server, token: string, from: number, to: number): Promise<void> {
    const headers = { 'upload-offset': String(from), 'content-type': 'application/offset+octet-stream' };
    const part = this.bytes.subarray(from, to);
    const answer = await tusRequest(server.at(this.upload['url'] as string), 'PATCH', token, headers, part);
    expect(answer).toMatchObject({ status: 204 });
    if (to < this.bytes.length)
      expect(Math.abs(Date.parse(String(answer.headers['upload-expires'])) - Date.now() - DAY)).toBeLessThan(
        60_000,
      );
  }
}

const skipped = isMissing(services.faketime);

describe.skipIf(skipped || !backends.includes('postgres')).each([
  ['+40d', '40 days ahead of'],
  ['-40d', '40 days behind'],
  ['+40s', '40 seconds ahead of'],
])('A process whose clock is off by %s, beside one that is right', (offset, said) => {
  let place: Place;
  let right: Server;
  let wrong: Server;
  let conversation: Conversation;

  beforeAll(async () => {
    place = await makePlace('postgres');
    right = await Server.start(place);
    conversation = await Conversation.on(right);
    await sql(
      place,
      `insert into sessions (id, user_id, expires_at)
       select gen_random_uuid(), id, now() - interval '1 day' from users`,
    );
    wrong = await Server.start(place, offset);
  });
  afterAll(async () => {
    await wrong[Symbol.asyncDispose]();
    await right[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  test('says so in one line, which the other one does not', () => {
    expect(right.lines).toEqual([]);
    expect(wrong.lines).toHaveLength(1);
    expect(wrong.lines[0]).toMatch(new RegExp(`"level":40,.*"aheadSeconds":.*${said}`));
  });

  test('takes tokens and links of the other one, and the other one its', async () => {
    const { user, roomId } = conversation;
    const there = wrong.as(user);
    const { data } = await there.upload(roomId, 'notes.txt', 'some text');
    for (const server of [right, wrong]) {
      const response = await fetch(server.at(data['uploadFile'].file.url as string));
      expect([response.status, await response.text()]).toEqual([200, 'some text']);
      expect(response.headers.get('cache-control')).toMatch(/max-age=(8[89]\d|9\d\d|1[01]\d\d)\b/);
    }
    const fresh = await signUp(wrong.url);
    const { viewer } = await right.as(fresh).run('{ viewer { user { handle } } }');
    expect(viewer.user.handle).toBe(fresh.handle);
    await there.run(`mutation ($id: ID!) { setTyping(input: { roomId: $id, typing: true }) { expiresAt } }`, {
      id: roomId,
    });
  });

  test('refreshes tokens like the other one, also again after a lost answer', async () => {
    const user = await signUp(right.url);
    const second = await right.refresh(user.refreshToken);
    expect((await wrong.refresh(user.refreshToken))['refreshToken']).toBe(second['refreshToken']);
    const third = await wrong.refresh(second['refreshToken']!);
    expect((await right.refresh(second['refreshToken']!))['refreshToken']).toBe(third['refreshToken']);
    expect(Math.abs(Date.parse(third['accessTokenExpiresAt']!) - Date.now() - 900_000)).toBeLessThan(20_000);
    const other = await signUp(wrong.url);
    const { refreshTokenExpiresAt } = await right.refresh(other.refreshToken);
    expect(Math.abs(Date.parse(refreshTokenExpiresAt!) - Date.now() - 90 * DAY)).toBeLessThan(60_000);
  });

  test('closes a socket when its token runs out, and not before', async () => {
    const token = await shortLivedToken(place, conversation.user, 4);
    const begun = performance.now();
    const socket = await connect(wrong.as(conversation.user, token));
    expect(await closed(socket, 15_000)).toBe(4403);
    expect(performance.now() - begun).toBeGreaterThan(2000);
  });

  test('deletes nothing that is old, but what was let go, and the other one both', async () => {
    const { user, roomId } = conversation;
    const old = `select from sessions where expires_at < now()`;
    // The one that is right was done before there was anything.
    expect(await sql(place, old)).toHaveLength(1);
    const sent = await user.upload(roomId, 'more.txt', 'some more text');
    const there = wrong.as(user);
    await there.run(`mutation ($id: ID!) { deleteFile(input: { fileId: $id }) { deletedFileId } }`, {
      id: sent.data['uploadFile'].file.id,
    });
    await eventually(15_000, 'the bytes are gone', async () => {
      const rows = await sql(place, `select from upload_leases where expires_at = 'epoch'`);
      return rows.length === 0;
    });
    await conversation.finish(wrong);
    expect(await sql(place, `select from idempotency_keys`)).not.toEqual([]);
    expect(await sql(place, old)).toHaveLength(1);
    await using third = await Server.start(place);
    await eventually(15_000, 'the session is gone', async () => (await sql(place, old)).length === 0);
    expect(third.lines).toEqual([]);
    expect(await sql(place, `select from room_events where kind = 'MESSAGE_ADDED'`)).toHaveLength(2);
  });
});

describe.skipIf(skipped)('A process with an embedded database', () => {
  test('deletes nothing when its clock has jumped since it was last up, and goes on when that is right again', async () => {
    const place = await makePlace('embedded');
    onTestFinished(() => place[Symbol.asyncDispose]());
    let server = await Server.start(place);
    onTestFinished(() => server[Symbol.asyncDispose]());
    const conversation = await Conversation.on(server);
    const { user } = conversation;
    expect(server.lines).toEqual([]);
    await server.stop();

    for (const offset of ['+40d', '+40d']) {
      server = await Server.start(place, offset);
      expect(server.lines.filter((line) => line.includes('has jumped'))).toHaveLength(1);
      const { accessToken } = await server.refresh(user.refreshToken);
      await conversation.isWhole(server.as(user, accessToken));
      await server.stop();
    }

    server = await Server.start(place);
    expect(server.lines).toEqual([]);
    await conversation.isWhole(server.as(user));
    await conversation.finish(server);
    await server.stop();
  });
});

import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, type GraphQLAnswer } from '../support/client.js';
import type { Ledger } from './ledger.js';
import type { Person } from './people.js';
import type { Random } from './random.js';

const POST = `mutation ($input: PostMessageInput!) { postMessage(input: $input) { message { id } eventCursor } }`;
const EDIT = `mutation ($input: EditMessageInput!) { editMessage(input: $input) { message { id } } }`;
const DELETE = `mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { message { id } } }`;
const DELETE_FILE = `mutation ($input: DeleteFileInput!) { deleteFile(input: $input) { deletedFileId } }`;

/** Codes after which the same call, with the same key, is the way on. */
const TRANSIENT = new Set(['UNAVAILABLE', 'UPLOAD_INCOMPLETE', 'UNAUTHENTICATED']);

/** How long one call may take before its client gives up on the answer. */
const PATIENCE_MS = 15_000;

/** A user who writes all the time, and repeats what was not acknowledged, with the same key, until it is. */
export class Writer {
  /** Each is edited once: an edit has no key, and one whose answer was lost may still come after the next. */
  private readonly unedited: { id: string; roomId: string }[] = [];
  private readonly messages: { id: string; roomId: string }[] = [];
  private readonly files: { id: string; roomId: string }[] = [];
  private count = 0;

  constructor(
    private readonly name: string,
    private readonly person: Person,
    /** Where its calls go, in turn. */
    private readonly urls: readonly [string, string],
    private readonly rooms: readonly string[],
    private readonly random: Random,
    private readonly ledger: Ledger,
  ) {}

  /** Writes `perSecond` times a second, as far as the server keeps up, until told to stop; the last call is seen through. */
  async run(perSecond: number, stop: AbortSignal): Promise<void> {
    let due = performance.now();
    while (!stop.aborted) {
      await this.write();
      // What an outage held up is not made up for at once.
      due = Math.max(due + 1000 / perSecond, performance.now() - 500);
      await pause(Math.max(0, due - performance.now()));
    }
  }

  private async write(): Promise<void> {
    this.count += 1;
    const roomId = this.random.pick(this.rooms);
    const draw = this.random.next();
    if (draw < 0.2 && this.unedited.length > 0) await this.edit();
    else if (draw < 0.28 && this.messages.length > 20) await this.delete();
    else if (draw < 0.36) await this.upload(roomId);
    else if (draw < 0.4 && this.files.length > 5) await this.deleteFile();
    else await this.post(roomId);
  }

  private async post(roomId: string): Promise<void> {
    const body = `${this.name} says ${this.count}`;
    const input = { roomId, body, idempotencyKey: randomUUID() };
    const post = (turn: number) => this.insist(turn, (client) => client.ask(POST, { input }));
    const twin = this.random.chance(0.03) ? post(1) : undefined;
    const { postMessage } = await post(0);
    if (twin !== undefined) {
      this.ledger.twins += 1;
      if (JSON.stringify((await twin)['postMessage']) !== JSON.stringify(postMessage))
        this.ledger.odd('two answers to one key');
    }
    const { message, eventCursor } = postMessage;
    (this.random.chance(0.7) ? this.unedited : this.messages).push({ id: message.id, roomId });
    this.ledger.entries.push({
      kind: 'MESSAGE_ADDED',
      roomId,
      subjectId: message.id,
      eventCursor,
      content: body,
    });
  }

  private async edit(): Promise<void> {
    const [message] = this.unedited.splice(Math.floor(this.random.next() * this.unedited.length), 1);
    const { id, roomId } = message!;
    const body = `${this.name} corrects ${this.count}`;
    await this.insist(0, (client) => client.ask(EDIT, { input: { messageId: id, body } }));
    this.messages.push({ id, roomId });
    this.ledger.entries.push({ kind: 'MESSAGE_EDITED', roomId, subjectId: id, content: body });
  }

  private async delete(): Promise<void> {
    const [message] = this.messages.splice(Math.floor(this.random.next() * this.messages.length), 1);
    const { id, roomId } = message!;
    await this.insist(0, (client) => client.ask(DELETE, { input: { messageId: id } }));
    this.ledger.entries.push({ kind: 'MESSAGE_DELETED', roomId, subjectId: id, content: '' });
  }

  private async upload(roomId: string): Promise<void> {
    const bytes = `${this.name}, file ${this.count}\n`.repeat(1 + Math.floor(this.random.next() * 500));
    const more = { idempotencyKey: randomUUID() };
    const { uploadFile } = await this.insist(0, (client) =>
      client.upload(roomId, `${this.count}.txt`, bytes, more),
    );
    const { file, eventCursor } = uploadFile;
    this.files.push({ id: file.id, roomId });
    this.ledger.entries.push({
      kind: 'FILE_ADDED',
      roomId,
      subjectId: file.id,
      eventCursor,
      content: createHash('sha256').update(bytes).digest('hex'),
    });
  }

  private async deleteFile(): Promise<void> {
    const { id, roomId } = this.files.shift()!;
    await this.insist(0, (client) => client.ask(DELETE_FILE, { input: { fileId: id } }), 'NOT_FOUND');
    this.ledger.entries.push({ kind: 'FILE_DELETED', roomId, subjectId: id });
  }

  /** Until it is acknowledged. `done`: the code that says so, of a call that was repeated. */
  private async insist(
    turn: number,
    call: (client: Client) => Promise<GraphQLAnswer>,
    done?: string,
  ): Promise<Record<string, any>> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const { code, data } = await this.attempt(call, this.urls[(this.count + turn + attempt) % 2]!);
      if (code === undefined || (attempt > 0 && code === done)) {
        if (attempt > 0) this.ledger.repeated += 1;
        return data;
      }
      this.ledger.failed(code);
      if (code !== 'no answer' && !TRANSIENT.has(code)) this.ledger.odd(`a write answered by ${code}`);
      await pause(this.random.between(50, 300));
    }
    throw new Error(`${this.name}: a write was never acknowledged`);
  }

  private async attempt(
    call: (client: Client) => Promise<GraphQLAnswer>,
    url: string,
  ): Promise<{ code?: string; data: Record<string, any> }> {
    try {
      const client = new Client(url, await this.person.session.accessToken());
      const late = new Promise<never>((_resolve, reject) => {
        setTimeout(() => reject(new Error('late')), PATIENCE_MS).unref();
      });
      const { data, errors } = await Promise.race([call(client), late]);
      const code = errors[0]?.extensions['code'] as string | undefined;
      return code === undefined ? { data } : { code, data };
    } catch {
      return { code: 'no answer', data: {} };
    }
  }
}

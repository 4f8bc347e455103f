import { randomBytes } from 'node:crypto';
import { WAYS, type Way } from './ways.js';

export interface GraphQLAnswer<Data = Record<string, any>> {
  readonly status: number;
  readonly data: Data;
  readonly errors: readonly {
    message: string;
    path?: (string | number)[];
    extensions: Record<string, any>;
  }[];
}

export type Variables = Record<string, unknown>;

/** One signed-in (or signed-out) user of a server, over HTTP. */
export class Client {
  constructor(
    readonly url: string,
    readonly token?: string,
    readonly userId = '',
    readonly refreshToken = '',
    readonly handle = '',
    private readonly way: Way = 'short',
  ) {}

  /** The same user, whose requests take this way in. */
  by(way: Way): Client {
    return new Client(this.url, this.token, this.userId, this.refreshToken, this.handle, way);
  }

  /** The whole answer, errors among it. */
  async ask<Data = Record<string, any>>(
    query: string,
    variables: Variables = {},
  ): Promise<GraphQLAnswer<Data>> {
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': WAYS[this.way], ...this.headers() },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors = [] } = (await response.json()) as { data: Data; errors?: GraphQLAnswer['errors'] };
    return { status: response.status, data, errors };
  }

  /** The data; throws when there are errors. */
  async run<Data = Record<string, any>>(query: string, variables: Variables = {}): Promise<Data> {
    const { data, errors } = await this.ask<Data>(query, variables);
    if (errors.length > 0) throw new Error(`unexpected errors: ${JSON.stringify(errors)}`);
    return data;
  }

  /** The code of the only error; throws when there is none or more than one. */
  async refusal(query: string, variables: Variables = {}): Promise<string> {
    const { data, errors } = await this.ask(query, variables);
    if (errors.length !== 1) throw new Error(`not one error: ${JSON.stringify({ data, errors })}`);
    return String(errors[0]?.extensions['code']);
  }

  headers(): Record<string, string> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
  }

  async createRoom(visibility: 'PUBLIC' | 'PRIVATE' = 'PUBLIC', slug = `room-${word()}`): Promise<string> {
    const { createRoom } = await this.run(
      `mutation ($input: CreateRoomInput!) { createRoom(input: $input) { room { id } } }`,
      { input: { slug, name: `Room ${slug}`, visibility } },
    );
    return createRoom.room.id as string;
  }

  async join(roomId: string): Promise<void> {
    await this.run(`mutation ($roomId: ID!) { joinRoom(input: { roomId: $roomId }) { member { id } } }`, {
      roomId,
    });
  }

  async post(
    roomId: string,
    body: string,
    more: Variables = {},
  ): Promise<{ id: string; eventCursor: string }> {
    const { postMessage } = await this.run(
      `mutation ($input: PostMessageInput!) { postMessage(input: $input) { message { id } eventCursor } }`,
      { input: { roomId, body, ...more } },
    );
    return { id: postMessage.message.id, eventCursor: postMessage.eventCursor };
  }

  /** Uploads one file by the multipart request spec. */
  async upload(roomId: string, name: string, bytes: BlobPart, more: Variables = {}): Promise<GraphQLAnswer> {
    const form = new FormData();
    const query = `mutation ($input: UploadFileInput!) { uploadFile(input: $input) {
      eventCursor file { id name mimeType size sha256 url } } }`;
    form.set('operations', JSON.stringify({ query, variables: { input: { roomId, file: null, ...more } } }));
    form.set('map', JSON.stringify({ 0: ['variables.input.file'] }));
    form.set('0', new Blob([bytes]), name);
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: { 'apollo-require-preflight': '1', ...this.headers() },
      body: form,
    });
    const { data, errors = [] } = (await response.json()) as Omit<GraphQLAnswer, 'errors'> & {
      errors?: GraphQLAnswer['errors'];
    };
    return { status: response.status, data, errors };
  }
}

export const word = (): string => randomBytes(6).toString('hex');

export const PASSWORD = 'correct horse battery staple';

/** A new user, signed in. */
export async function signUp(url: string, handle = `user-${word()}`): Promise<Client> {
  const { signUp: session } = await new Client(url).run(
    `mutation ($input: SignUpInput!) { signUp(input: $input) { accessToken refreshToken user { id } } }`,
    { input: { email: `${handle}@example.com`, password: PASSWORD, handle, name: handle } },
  );
  return new Client(url, session.accessToken, session.user.id, session.refreshToken, handle);
}

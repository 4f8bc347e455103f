import type { Client as WsClient, ClientOptions } from 'graphql-ws';
import type { Client } from './client.js';
import { eventually, within } from './deadline.js';
import { live } from './live.js';

/** A socket that is open from the beginning, and the codes it was closed with since. */
export interface ConnectedSocket {
  readonly client: WsClient;
  readonly closes: readonly number[];
}

function open(user: Client, options: Partial<ClientOptions>): ConnectedSocket {
  const closes: number[] = [];
  const client = live(user, {
    lazy: false,
    // The close is what is looked at.
    onNonLazyError: () => undefined,
    ...options,
    on: { closed: (event) => closes.push((event as { code: number }).code) },
  });
  return { client, closes };
}

/** Connects as this user. Resolves once the server has taken the token. */
export async function connect(user: Client, options: Partial<ClientOptions> = {}): Promise<ConnectedSocket> {
  const socket = open(user, options);
  await within(5000, 'a connection', new Promise((resolve) => socket.client.on('connected', resolve)));
  return socket;
}

/** The code that a user is turned away with who tries to connect. */
export async function turnedAway(user: Client, options: Partial<ClientOptions> = {}): Promise<number> {
  const { client, closes } = open(user, options);
  const code = await eventually(5000, 'the close', () => closes[0]);
  await client.dispose();
  return code;
}

/** The code that the socket was closed with, once it is. */
export const closed = ({ closes }: ConnectedSocket, ms = 5000): Promise<number> =>
  eventually(ms, 'the close', () => closes[0]);

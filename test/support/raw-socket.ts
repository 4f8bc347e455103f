import { expect } from 'vitest';
import WebSocket from 'ws';
import { eventually, within } from './deadline.js';

const SUBPROTOCOL = 'graphql-transport-ws';

/** A client that speaks graphql-transport-ws by hand, well or badly. */
export class RawSocket {
  readonly messages: any[] = [];
  private readonly ws: WebSocket;
  /** Why the server closed it, once it has. */
  reason = '';
  private readonly closing: Promise<number>;

  constructor(url: string, protocols: string[] = [SUBPROTOCOL]) {
    this.ws = new WebSocket(url.replace('http', 'ws'), protocols);
    this.ws.on('message', (data: Buffer) => this.messages.push(JSON.parse(data.toString())));
    // ws reports a failed handshake by an error, and closes with 1006 then.
    this.ws.on('error', () => undefined);
    this.closing = new Promise((resolve) => {
      this.ws.on('close', (code, reason) => {
        this.reason = reason.toString();
        resolve(code);
      });
    });
  }

  async opened(): Promise<this> {
    await within(5000, 'an open socket', new Promise((resolve) => this.ws.once('open', resolve)));
    return this;
  }

  /** An open socket whose client has said who it is. */
  static async connect(url: string, payload?: Record<string, unknown>): Promise<RawSocket> {
    const raw = await new RawSocket(url).opened();
    raw.send({ type: 'connection_init', payload });
    expect(await raw.take(1)).toEqual([{ type: 'connection_ack' }]);
    return raw;
  }

  /** An object goes as JSON, a Buffer in a binary frame. */
  send(message: object | string): void {
    this.ws.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  /** Sends all of them in one piece. */
  sendTogether(...messages: object[]): void {
    const { _socket: connection } = this.ws as unknown as { _socket: { cork(): void; uncork(): void } };
    connection.cork();
    for (const message of messages) this.send(message);
    connection.uncork();
  }

  subscribe(id: string, query: string, variables = {}): void {
    this.send(subscribing(id, query, variables));
  }

  /** The first `count` messages, once they are there. */
  async take(count: number): Promise<any[]> {
    return eventually(
      5000,
      `${count} messages`,
      () => this.messages.length >= count && this.messages.slice(0, count),
    );
  }

  /** The code that the server closed it with. */
  closed(ms = 5000): Promise<number> {
    return within(ms, 'a closed socket', this.closing);
  }

  /** Ends it as the protocol says, or with another code. */
  leave(code = 1000): void {
    this.ws.close(code);
  }

  close(): void {
    this.ws.terminate();
  }
}

export const subscribing = (id: string, query: string, variables = {}): object => ({
  id,
  type: 'subscribe',
  payload: { query, variables },
});

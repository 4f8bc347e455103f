import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import WebSocket from 'ws';

/** A client that takes what it is sent at a steady rate, or not at all, and answers nothing by itself. */
export class SlowReader {
  /** The beginning of what came. */
  text = '';
  received = 0;
  ended = false;
  private bytesPerSecond: number;
  private readonly socket: Socket;

  /** Takes at most `bytesPerSecond`, in small pieces: 0 for nothing after what came first, Infinity for all. */
  constructor(url: string, request: string, bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
    const { hostname, port } = new URL(url);
    this.socket = connect({
      host: hostname,
      port: Number(port),
      onread: { buffer: Buffer.alloc(16 * 1024), callback: (size, buffer) => this.take(size, buffer) },
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => (this.ended = true));
    this.socket.write(request);
  }

  /** Reads at another rate from here on. */
  readAt(bytesPerSecond: number): void {
    this.bytesPerSecond = bytesPerSecond;
    if (bytesPerSecond > 0) this.socket.resume();
  }

  write(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  get port(): number {
    return this.socket.localPort ?? 0;
  }

  destroy(): void {
    this.socket.destroy();
  }

  private take(size: number, buffer: Uint8Array): boolean {
    this.received += size;
    if (this.text.length < 64 * 1024) this.text += Buffer.from(buffer.subarray(0, size)).toString('latin1');
    if (this.bytesPerSecond === Infinity) return true;
    if (this.bytesPerSecond > 0)
      setTimeout(() => this.socket.resume(), (size / this.bytesPerSecond) * 1000).unref();
    return false;
  }
}

/** A WebSocket client that takes what it is sent at a steady rate. It answers pings once it comes to them. */
export class SlowSocket {
  private readonly socket: Socket;
  readonly port: number;
  private readonly before: number;
  private bytesPerSecond = Infinity;

  private constructor(readonly ws: WebSocket) {
    this.socket = (ws as unknown as { _socket: Socket })._socket;
    this.port = this.socket.localPort ?? 0;
    this.before = this.socket.bytesRead;
    ws.on('error', () => undefined);
    this.socket.on('data', ({ length }: Buffer) => {
      // Pings are answered until the data comes.
      if (this.bytesPerSecond === Infinity || length < 1000) return;
      ws.pause();
      if (this.bytesPerSecond > 0)
        setTimeout(() => ws.resume(), (length / this.bytesPerSecond) * 1000).unref();
    });
  }

  static async open(url: string, payload: Record<string, string>): Promise<SlowSocket> {
    const ws = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    await once(ws, 'open');
    ws.send(JSON.stringify({ type: 'connection_init', payload }));
    await once(ws, 'message');
    return new SlowSocket(ws);
  }

  /** Applies from the next data on. 0: nothing more behind that. */
  readAt(bytesPerSecond: number): void {
    this.bytesPerSecond = bytesPerSecond;
    if (this.ws.isPaused) this.ws.resume();
  }

  get received(): number {
    return this.socket.bytesRead - this.before;
  }

  get isOpen(): boolean {
    return this.ws.readyState === WebSocket.OPEN;
  }
}

/**
 * Whether this system has the server's end of a connection, closed or not, and so keeps what was not read. Both ports are looked at:
 * an earlier connection from the same port of a client, to another server, may still be waiting for its time to be over.
 */
export function isKept(url: string, clientPort: number): boolean {
  const ends = [Number(new URL(url).port), clientPort].map(
    (port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`,
  );
  return readFileSync('/proc/self/net/tcp', 'latin1')
    .split('\n')
    .some((line) => {
      const addresses = line.trimStart().split(/ +/, 3).slice(1);
      return ends.every((end, i) => addresses[i]?.endsWith(end) === true);
    });
}

/** The request that makes a WebSocket of a connection. */
export const handshakeTo = (url: string): string =>
  [
    'GET /graphql HTTP/1.1',
    `Host: ${new URL(url).host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: graphql-transport-ws',
    '\r\n',
  ].join('\r\n');

/** One text frame as a client sends it, masked with zeros. */
export function frameOf(message: unknown): Buffer {
  const payload = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
  const head = Buffer.alloc(8);
  head[0] = 0x81;
  head[1] = 0x80 | 126;
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

/** One buffer for every socket: what is read is looked at before the next read. */
const BUFFER = Buffer.allocUnsafeSlow(256 * 1024);

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/**
 * A WebSocket client that does as little as it can, so that a thousand of them fit beside what they measure: it walks over the
 * headers of frames in the read buffer, and hands out where a message lies without copying or decoding it.
 */
export class RawSocket {
  #socket;
  #onMessage;
  #onClose;
  #head = '';
  /** What is left of a frame that the end of a read has cut. */
  #rest;
  #open = false;
  #closing = false;

  /**
   * Connects to `url` (http:) and resolves once the connection is a WebSocket. `onMessage(buffer, start, end)` must look at once: the
   * buffer is used again. `onClose(why)` tells of an end that the other side began.
   */
  static connect({ url, protocol, localAddress, onMessage, onClose }) {
    return new Promise((resolve, reject) => {
      const socket = new RawSocket();
      const { hostname, port, pathname, search } = new URL(url);
      socket.#onMessage = onMessage;
      socket.#onClose = (why) => (socket.#open ? onClose(why) : reject(new Error(why)));
      socket.#socket = connect({
        host: hostname,
        port: Number(port),
        localAddress,
        noDelay: true,
        onread: {
          buffer: BUFFER,
          callback: (length, buffer) => {
            if (socket.#open) socket.#walk(buffer, 0, length);
            else socket.#handshake(buffer.latin1Slice(0, length), resolve);
            return true;
          },
        },
      });
      socket.#socket.on('connect', () => {
        socket.#socket.write(
          `GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\n` +
            `Connection: Upgrade\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
            `Sec-WebSocket-Version: 13\r\n${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''}\r\n`,
        );
      });
      socket.#socket.on('error', (error) => socket.#end(error.message));
      socket.#socket.on('close', () => socket.#end('the server closed the connection'));
    });
  }

  send(text) {
    this.#socket.write(frame(TEXT, Buffer.from(text)));
  }

  close() {
    this.#closing = true;
    this.#socket.destroy();
  }

  #handshake(text, resolve) {
    this.#head += text;
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    if (!this.#head.startsWith('HTTP/1.1 101')) {
      this.#end(`no upgrade: ${this.#head.slice(0, 200)}`);
      return;
    }
    this.#open = true;
    resolve(this);
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1');
    // Whoever awaited the connection comes first.
    if (rest.length > 0) queueMicrotask(() => this.#walk(rest, 0, rest.length));
  }

  #walk(read, start, stop) {
    let buffer = read;
    let at = start;
    let end = stop;
    if (this.#rest !== undefined) {
      buffer = Buffer.concat([this.#rest, read.subarray(start, stop)]);
      this.#rest = undefined;
      at = 0;
      end = buffer.length;
    }
    while (end - at >= 2) {
      let length = buffer[at + 1] & 0x7f;
      let header = 2;
      if (length === 126) {
        if (end - at < 4) break;
        length = buffer.readUInt16BE(at + 2);
        header = 4;
      } else if (length === 127) {
        if (end - at < 10) break;
        length = Number(buffer.readBigUInt64BE(at + 2));
        header = 10;
      }
      if (end - at < header + length) break;
      this.#take(buffer, at, at + header, at + header + length);
      at += header + length;
    }
    if (at < end) this.#rest = Buffer.from(buffer.subarray(at, end));
  }

  #take(buffer, at, start, end) {
    const kind = buffer[at] & 0x0f;
    if (kind === PING) this.#socket.write(frame(PONG, buffer.subarray(start, end)));
    else if (kind === CLOSE)
      this.#end(`closed with ${end - start >= 2 ? buffer.readUInt16BE(start) : 'no code'}`);
    else if (kind === TEXT) this.#onMessage(buffer, start, end);
  }

  #end(why) {
    if (this.#closing) return;
    this.close();
    this.#onClose(why);
  }
}

/** A client's frame: the mask must be there, and one of zeros costs nothing. */
function frame(kind, payload) {
  const { length } = payload;
  const header = Buffer.alloc(length < 126 ? 6 : 8);
  header[0] = 0x80 | kind;
  header[1] = 0x80 | (length < 126 ? length : 126);
  if (length >= 126) header.writeUInt16BE(length, 2);
  return Buffer.concat([header, payload]);
}

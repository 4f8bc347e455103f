import { connect } from 'node:net';

/** Servers close a connection that was idle for five seconds: one that may be closing as we write is not used again. */
const FRESH_MS = 3_000;

/**
 * One keep-alive HTTP connection to `url`, one request at a time. Far cheaper than node:http, for the load shares its core with
 * Postgres.
 */
export class HttpConnection {
  #url;
  #socket;
  #received = '';
  #waiting;
  #usedAt = 0;

  constructor(url) {
    this.#url = new URL(url);
  }

  /** Posts JSON and resolves with the answer's text. Rejects for another status than 2xx. */
  post(path, body, headers = {}) {
    const content = JSON.stringify(body);
    const fields = {
      host: this.#url.host,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(content),
      ...headers,
    };
    const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    if (Date.now() - this.#usedAt > FRESH_MS) this.#connect();
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\n${content}`);
    });
  }

  close() {
    this.#waiting = undefined;
    this.#socket?.destroy();
  }

  #connect() {
    this.close();
    const socket = connect({ host: this.#url.hostname, port: Number(this.#url.port), noDelay: true });
    const fail = (error) => {
      if (socket !== this.#socket) return;
      this.#waiting?.reject(error);
      this.#waiting = undefined;
    };
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.#receive(text));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the server closed the connection')));
    this.#socket = socket;
  }

  #receive(text) {
    this.#received += text;
    const answer = parseAnswer(this.#received);
    if (answer === undefined) return;
    this.#received = '';
    this.#usedAt = Date.now();
    const { resolve, reject } = this.#waiting;
    this.#waiting = undefined;
    if (/^HTTP\/1\.1 2/.test(answer.head)) resolve(answer.body);
    else reject(new Error(`${answer.head.split('\r\n')[0]}: ${answer.body.slice(0, 300)}`));
  }
}

/** An answer as `head` and `body`; undefined until all of it is there. Bytes are characters here, as latin1 has them. */
export function parseAnswer(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const rest = text.slice(end + 4);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined) return rest.endsWith('0\r\n\r\n') ? { head, body: unchunk(rest) } : undefined;
  return rest.length >= Number(length) ? { head, body: utf8(rest) } : undefined;
}

function unchunk(text) {
  let body = '';
  for (let at = 0; ;) {
    const line = text.indexOf('\r\n', at);
    const size = parseInt(text.slice(at, line), 16);
    if (!(size > 0)) return utf8(body);
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}

const utf8 = (bytes) => Buffer.from(bytes, 'latin1').toString();

import { bodyOf } from './bodies.js';
import { HttpConnection } from './http.js';

/** Posts numbered messages, as the peer's description says, over as many connections as may be in flight. */
export class Publisher {
  /** When each message was sent, by its number, in milliseconds of `performance.now()`. */
  sentAt = [];
  /** Messages so far, which is also the number of the newest. */
  count = 0;
  #part;
  #context;
  #idle;
  #queue = [];

  constructor(part, context, inFlight) {
    this.#part = part;
    this.#context = context;
    this.#idle = Array.from({ length: inFlight }, () => new HttpConnection(context.postUrl ?? context.url));
  }

  /** Posts the next message and resolves with what it is answered. It is sent now, or when a connection is free. */
  async post() {
    const number = (this.count += 1);
    this.sentAt[number] = performance.now();
    const connection = this.#idle.pop() ?? (await new Promise((resolve) => this.#queue.push(resolve)));
    const { path, body, headers } = this.#part.publish(this.#context, number, bodyOf(number));
    const answer = JSON.parse(await connection.post(path, body, headers));
    if (answer.errors) throw new Error(`a post was refused: ${JSON.stringify(answer.errors)}`);
    const next = this.#queue.shift();
    if (next === undefined) this.#idle.push(connection);
    else next(connection);
    return answer;
  }

  /** Posts `count` messages as fast as they are taken. Resolves when all are answered. */
  async postMany(count) {
    return Promise.all(Array.from({ length: count }, () => this.post()));
  }

  close() {
    for (const connection of this.#idle) connection.close();
  }
}

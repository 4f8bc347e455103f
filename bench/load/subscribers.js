import { checkMessage } from './bodies.js';
import { protocols } from './protocols.js';
import { RawSocket } from './websocket.js';

/** Text below this many bytes is what a protocol says to itself, never a message. */
const CHATTER = 110;
/** Of so many deliveries one is decoded and compared in full. */
const SAMPLE = 997;
/** Connections that are opened at once, unless all are. */
const BATCH = 50;
/** A source address has some 28,000 ports, of which those of the last run may not be free yet. */
const PER_ADDRESS = 5_000;
const ANSWER_MS = 60_000;

/** Everyone who listens, and what they have been sent. */
export class Subscribers {
  list = [];
  /** Deliveries since `reset`. */
  total = 0;
  firstAt = 0;
  lastAt = 0;
  bytes = 0;
  checked = 0;
  /** Called with each delivery's buffer, start and end, and its subscriber, when set. */
  observe;
  /** Whether every delivery is decoded, or a sample. */
  checkAll = true;
  #part;
  #protocol;
  #context;
  #reached = () => undefined;
  #target = Infinity;

  /** `part`: the peer's description of a fan-out; `context`: the server's `url`, and what setup made. */
  constructor(part, context) {
    this.#part = part;
    this.#protocol = protocols[part.protocol];
    this.#context = context;
  }

  /** Opens `count` of them, some at a time or `atOnce`, and resolves when all have subscribed. */
  async open(count, { atOnce = false } = {}) {
    const batch = atOnce ? count : BATCH;
    for (let from = 0; from < count; from += batch) {
      const indexes = Array.from({ length: Math.min(batch, count - from) }, (_, i) => from + i);
      this.list.push(...(await Promise.all(indexes.map((index) => this.#openOne(index)))));
    }
  }

  async #openOne(index) {
    const subscriber = new Subscriber(index);
    subscriber.socket = await RawSocket.connect({
      url: this.#context.url + this.#part.path(this.#context, index),
      protocol: this.#protocol.subprotocol,
      localAddress: index < PER_ADDRESS ? undefined : `127.0.0.${1 + Math.floor(index / PER_ADDRESS)}`,
      onMessage: (buffer, start, end) => {
        if (subscriber.ready) this.#receive(subscriber, buffer, start, end);
        else subscriber.hear(buffer.utf8Slice(start, end));
      },
      onClose: (why) => {
        throw new Error(`subscriber ${index} was cut off: ${why}`);
      },
    });
    await this.#protocol.open(subscriber, this.#part, this.#context);
    subscriber.ready = true;
    return subscriber;
  }

  #receive(subscriber, buffer, start, end) {
    if (end - start < CHATTER) {
      const answer = this.#protocol.answer(buffer.utf8Slice(start, end));
      if (answer !== undefined) subscriber.send(answer);
      return;
    }
    if (this.total === 0) this.firstAt = performance.now();
    this.total += 1;
    this.bytes += end - start;
    subscriber.count += 1;
    this.observe?.(buffer, start, end, subscriber);
    if (this.checkAll || this.total % SAMPLE === 0) this.#check(subscriber, buffer.utf8Slice(start, end));
    if (this.total === this.#target) {
      this.lastAt = performance.now();
      this.#reached(true);
    }
  }

  #check(subscriber, text) {
    const value = this.#protocol.read(text, subscriber);
    checkMessage(this.#part.messageOf?.(value) ?? value);
    this.checked += 1;
  }

  /** Counts from nothing again. */
  reset() {
    this.total = 0;
    this.bytes = 0;
    for (const subscriber of this.list) subscriber.count = 0;
  }

  /** Whether `target` deliveries have come within `ms`. */
  until(target, ms) {
    this.#target = target;
    if (this.total >= target) {
      this.lastAt = performance.now();
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#reached(false), ms);
      this.#reached = (reached) => {
        clearTimeout(timer);
        this.#target = Infinity;
        resolve(reached);
      };
    });
  }

  /** Whether everyone was sent exactly `count`. */
  allGot(count) {
    return this.list.every((subscriber) => subscriber.count === count);
  }

  close() {
    for (const subscriber of this.list) subscriber.close();
    this.list = [];
  }
}

class Subscriber {
  /** Subscribed: what comes now is deliveries. */
  ready = false;
  count = 0;
  socket;
  #heard = [];
  #waiting;

  constructor(index) {
    this.index = index;
  }

  send(text) {
    this.socket.send(text);
  }

  hear(text) {
    this.#heard.push(text);
    this.#waiting?.();
  }

  /** Resolves when the server has said something for which `isIt` holds. */
  control(isIt) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer to subscriber ${this.index}, only: ${this.#heard.join(' ')}`)),
        ANSWER_MS,
      );
      this.#waiting = () => {
        const at = this.#heard.findIndex(isIt);
        if (at < 0) return;
        this.#heard.splice(at, 1);
        this.#waiting = undefined;
        clearTimeout(timer);
        resolve();
      };
      this.#waiting();
    });
  }

  close() {
    this.socket.close();
  }
}

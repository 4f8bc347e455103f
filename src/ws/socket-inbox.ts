import type { OperationMessage } from './operation-ids.js';
import type { Backlog, SocketTurns } from './socket-turns.js';

/** Operations that wait before no more is read from the socket. */
const FULL = 50;
/** Other messages in a turn of the event loop before no more is read in it. */
const MANY = 100;

/** What an inbox hands messages to: its socket. */
export interface InboxOwner {
  readonly isOpen: boolean;
  begin(message: OperationMessage): void;
  /** Stops to read from the client. */
  pause(): void;
  /** Reads on, unless something else holds it back. */
  resume(): void;
}

/**
 * The messages of one socket that begin operations. The first one in a turn of the event loop is handed
 * on at once. The others wait for their turns, and one whose `complete` arrives before is dropped.
 */
export class SocketInbox implements Backlog {
  private handedOnIn = -1;
  /** In the order of arrival, by their ids. Undefined while nothing waits, as nearly always. */
  private waiting: Map<string, OperationMessage> | undefined;
  /** Whether as many wait as may. */
  private isFull = false;
  /** Messages that begin nothing, in the turn of the event loop in which the last of them came. */
  private others = 0;
  private othersIn = -1;

  constructor(
    private readonly owner: InboxOwner,
    private readonly turns: SocketTurns,
  ) {}

  /** Whether no more is to be read from the socket. */
  get holdsBack(): boolean {
    return this.isFull || this.others >= MANY;
  }

  /** Counts a message that begins nothing: pings, completes and the like are dealt with at once, but no more of them than others have time for. */
  count(): void {
    const turn = this.turns.current();
    if (this.othersIn !== turn && this.others < MANY) this.others = 0;
    this.othersIn = turn;
    this.others += 1;
    if (this.others !== MANY) return;
    this.owner.pause();
    this.turns.rest(() => {
      this.others = 0;
      this.owner.resume();
    });
  }

  /** Takes a `subscribe`. */
  add(message: OperationMessage): void {
    const turn = this.turns.current();
    if (this.waiting === undefined && this.handedOnIn !== turn) {
      this.handedOnIn = turn;
      this.owner.begin(message);
      return;
    }
    this.waiting ??= new Map();
    const { id } = message;
    const same = this.waiting.get(id);
    if (same !== undefined) {
      // An id that is used twice is refused by whoever begins the second operation.
      this.waiting.delete(id);
      this.owner.begin(same);
    }
    this.waiting.set(id, message);
    if (this.waiting.size >= FULL && !this.isFull) {
      this.isFull = true;
      this.owner.pause();
    }
    this.turns.add(this);
  }

  /** Drops the operation with this id, if it waits. Returns whether it did. */
  complete(id: string): boolean {
    return this.waiting?.delete(id) === true;
  }

  workOff(): boolean {
    const [message] = this.waiting?.values() ?? [];
    if (message !== undefined) this.waiting?.delete(message.id);
    if (message !== undefined && this.owner.isOpen) this.owner.begin(message);
    const isMore = this.owner.isOpen && this.waiting !== undefined && this.waiting.size > 0;
    if (!isMore) this.waiting = undefined;
    if (this.isFull && (this.waiting?.size ?? 0) < FULL / 2) {
      this.isFull = false;
      this.owner.resume();
    }
    return isMore;
  }
}

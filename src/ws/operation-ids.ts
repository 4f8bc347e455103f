import { limits } from '../graphql/limits.js';

/** A client's message about one operation. */
export interface OperationMessage {
  readonly id: string;
  readonly type?: unknown;
}

/** What messages are handed on to: graphql-ws's core, by its socket. */
export interface OperationCore {
  /** Settles when nothing more is done for the message; for `subscribe`, when the loop of the operation has settled. */
  handOn(message: OperationMessage): Promise<void>;
  failed(err: unknown): void;
}

interface Operation {
  /** Completed from either side; its loop may still be settling. */
  completed: boolean;
  /** Messages for the same id that must wait until the loop has settled. */
  waiting: OperationMessage[] | undefined;
}

/**
 * The ids of one socket's operations. An id may be used again as soon as its operation is completed, while graphql-ws's loop for it may
 * still be settling and would then complete the new one. So messages for such an id wait for the old loop, in their order; each is
 * handed on once, however many there are.
 */
export class OperationIds {
  private readonly operations = new Map<string, Operation>();
  /** Messages that wait, of all ids. */
  private waiting = 0;

  constructor(private readonly core: OperationCore) {}

  /** Operations that have begun and not settled, whether they are completed or not. */
  get underWay(): number {
    return this.operations.size;
  }

  /** Hands a message on, now or when its id is free. False when too many wait: it is dropped, and the socket has to end. */
  take(message: OperationMessage): boolean {
    const operation = this.operations.get(message.id);
    if (operation?.completed !== true) {
      this.handOn(message);
      return true;
    }
    if (this.waiting >= limits.socketWaiting) return false;
    this.waiting += 1;
    (operation.waiting ??= []).push(message);
    return true;
  }

  /** Whether an operation was completed that has not settled. */
  isCompleted(id: string): boolean {
    return this.operations.get(id)?.completed === true;
  }

  /** The server has said that the operation is over. */
  completed(id: string): void {
    const operation = this.operations.get(id);
    if (operation !== undefined) operation.completed = true;
  }

  private handOn(message: OperationMessage): void {
    const { type, id } = message;
    const operation = this.operations.get(id);
    if (type === 'complete' && operation !== undefined) operation.completed = true;
    if (type !== 'subscribe' || operation !== undefined) {
      this.core.handOn(message).catch((err: unknown) => this.core.failed(err));
      return;
    }
    const begun: Operation = { completed: false, waiting: undefined };
    this.operations.set(id, begun);
    const settled = (err?: unknown): void => {
      if (err !== undefined) this.core.failed(err);
      this.operations.delete(id);
      if (begun.waiting !== undefined) this.goOn(id, begun.waiting);
    };
    this.core.handOn(message).then(settled, settled);
  }

  /** Until one of them has completed the id's next operation: those behind it wait for the loop of that one. */
  private goOn(id: string, waiting: OperationMessage[]): void {
    for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
      this.waiting -= 1;
      this.handOn(message);
      const operation = this.operations.get(id);
      if (operation?.completed === true) {
        operation.waiting = waiting;
        return;
      }
    }
  }
}

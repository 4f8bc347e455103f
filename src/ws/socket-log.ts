import type { Socket } from 'node:net';
import type { Context } from '../graphql/context.js';
import type { Logger } from '../observability/logger.js';
import { observeOperation } from '../observability/operations.js';
import type { LiveSocket } from './socket.js';

/** Logs a line when a socket has closed, and at the level debug one when it opened and one for each operation that was valid. */
export class SocketLog {
  private readonly begun = performance.now();
  private operations = 0;

  /** `connectionId`: the id of the request that became the socket. */
  constructor(
    private readonly logger: Logger,
    private readonly connectionId: string,
    private readonly connection: Socket,
  ) {
    logger.debug({ connectionId }, 'socket opened');
  }

  /** An operation was answered; of a subscription: has begun, or was refused. */
  operated({ operation, requestId, viewer, startedAt }: Context): void {
    this.operations += 1;
    if (operation === undefined) return;
    const ms = performance.now() - startedAt;
    observeOperation(operation, 'ws', ms);
    const { name, kind } = operation;
    this.logger.debug(
      { connectionId: this.connectionId, requestId, operation: name, kind, userId: viewer?.id, ms },
      'socket operation',
    );
  }

  /** `code`: with which it was closed (close-codes.ts); 1006 without a close. */
  closed({ viewer }: LiveSocket, code: number): void {
    this.logger.info(
      {
        connectionId: this.connectionId,
        userId: viewer?.id,
        code,
        ms: Math.round(performance.now() - this.begun),
        operations: this.operations,
        received: this.connection.bytesRead,
        sent: this.connection.bytesWritten,
      },
      'socket',
    );
  }
}

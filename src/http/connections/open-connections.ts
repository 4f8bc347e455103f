import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { counts } from '../../observability/counts.js';
import type { Logger } from '../../observability/logger.js';
import type { Exchange } from '../request-log.js';

/** Idle connections that are closed together, since finding them means looking at all. */
const AT_ONCE = 16;
/** Milliseconds between two lines of the log that say so. */
const TOLD_MS = 60_000;

/** The connections to an HTTP server that are open, those that carry a WebSocket included. They never take more file descriptors than they may. */
export class OpenConnections implements Iterable<Socket> {
  private readonly open = new Set<Socket>();
  private readonly webSockets = new Set<Socket>();
  private toldAt = -Infinity;

  /** `descriptors`: what connections may take, with the files that they open. */
  constructor(
    server: Server,
    private readonly exchanges: Iterable<Exchange>,
    private readonly descriptors: number,
    private readonly logger: Logger,
  ) {
    server.on('connection', (socket) => this.add(socket));
  }

  [Symbol.iterator](): Iterator<Socket> {
    return this.open[Symbol.iterator]();
  }

  /** It carries a WebSocket from here on, and is never idle. */
  becameWebSocket(socket: Socket): void {
    this.webSockets.add(socket);
    socket.once('close', () => this.webSockets.delete(socket));
  }

  /** Those with no request under way: between two requests, in the middle of a header, or silent from the start. The oldest are first. */
  idle(): Socket[] {
    const busy = new Set(this.webSockets);
    for (const { req } of this.exchanges) busy.add(req.socket);
    return [...this.open].filter((socket) => !busy.has(socket));
  }

  private add(socket: Socket): void {
    // One that is handed back to the server comes by again.
    if (this.open.has(socket)) return;
    this.open.add(socket);
    socket.once('close', () => this.open.delete(socket));
    if (this.isFull) this.makeRoomFor(socket);
  }

  /** A WebSocket opens no file; anything else may have one open, or a connection of its own. */
  private get isFull(): boolean {
    return 2 * this.open.size - this.webSockets.size > this.descriptors;
  }

  /** A client whose idle connection ends opens another one, so those make room: first those that have never sent a byte. */
  private makeRoomFor(socket: Socket): void {
    const idle = this.idle().filter((one) => one !== socket);
    const silent = idle.filter(({ bytesRead }) => bytesRead === 0);
    const closed = [...silent, ...idle.filter(({ bytesRead }) => bytesRead > 0)].slice(0, AT_ONCE);
    for (const one of closed.length === 0 ? [socket] : closed) {
      this.open.delete(one);
      one.destroy();
      counts.connectionsDropped += 1;
    }
    if (performance.now() - this.toldAt < TOLD_MS) return;
    this.toldAt = performance.now();
    this.logger.warn(
      { connections: this.open.size, idle: idle.length },
      'no more connections: idle ones are closed for new ones, or new ones where none is idle',
    );
  }
}

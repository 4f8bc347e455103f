import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpServer } from './server.js';

/** Milliseconds between looks for connections that have nothing under way, once no new ones are taken. */
const IDLE_CHECK_MS = 100;

/**
 * How an HTTP server is emptied, in three steps: each answer closes its connection (`retire`), no new connection is taken
 * (`close`), the last one has ended (`drained`). Nothing that is under way is cut before its time.
 */
export class Departure {
  private readonly sockets = new Set<Socket>();
  private isRetired = false;
  private closed: Promise<void> | undefined;

  constructor(private readonly http: HttpServer) {
    http.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /**
   * Each answer is the last one on its connection from here on, those under way included; new connections are still taken. So
   * pools of clients and proxies empty themselves, and hardly a request meets a connection that is being closed.
   */
  retire(): void {
    if (this.isRetired) return;
    this.isRetired = true;
    for (const { res } of this.http.exchanges) closeAfter(res);
    // Before the handler, which may answer at once.
    this.http.server.prependListener('request', (_req, response: ServerResponse) => closeAfter(response));
  }

  /** Takes no new connection, and closes those that have nothing under way, now and when they fall idle. Can be called again. */
  close(): void {
    this.closed ??= new Promise((resolve) => {
      // Or a client that keeps its connection would hold the end up.
      const idle = setInterval(() => this.http.server.closeIdleConnections(), IDLE_CHECK_MS);
      this.http.server.close(() => {
        clearInterval(idle);
        resolve();
      });
    });
  }

  /** Resolves once every connection has ended, sockets that were taken over included; after `ms` they are cut. */
  async drained(ms: number): Promise<void> {
    this.close();
    const cut = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, ms);
    await this.closed;
    clearTimeout(cut);
  }
}

function closeAfter(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}

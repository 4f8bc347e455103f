import type { ServerResponse } from 'node:http';
import type { HttpServer } from './server.js';

/** Milliseconds between looks for connections that have nothing under way, once no new ones are taken. */
const IDLE_CHECK_MS = 100;
/** Milliseconds for a request to arrive on a connection that was open then. */
const SILENT_MS = 2000;

/**
 * How an HTTP server is emptied, in three steps: each answer closes its connection (`retire`), no new connection is taken
 * (`close`), the last one has ended (`drained`). Nothing that is under way is cut before its time.
 */
export class Departure {
  private isRetired = false;
  private closed: Promise<void> | undefined;

  constructor(private readonly http: HttpServer) {}

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
      // Nor one whose request does not come, or not to its end.
      const silent = setInterval(() => {
        for (const socket of this.http.connections.idle()) socket.destroy();
      }, SILENT_MS);
      this.http.server.close(() => {
        clearInterval(idle);
        clearInterval(silent);
        resolve();
      });
    });
  }

  /** Resolves once every connection has ended, sockets that were taken over included; after `ms` they are cut. */
  async drained(ms: number): Promise<void> {
    this.close();
    const cut = setTimeout(() => {
      for (const socket of this.http.connections) socket.destroy();
    }, ms);
    await this.closed;
    clearTimeout(cut);
  }
}

function closeAfter(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}

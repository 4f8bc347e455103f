import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A proxy that lets HTTP through and refuses to open WebSockets, as those of some companies do. */
export class HttpProxy implements AsyncDisposable {
  /** WebSockets that were refused. */
  refused = 0;
  /** How it answers HTTP instead of passing it on: a status, with a page of its own. */
  instead: number | undefined;
  /** How often it has. */
  pages = 0;

  private constructor(private readonly server: Server) {}

  /** `target`: the server's address, asked for with each request. */
  static async to(target: () => string): Promise<HttpProxy> {
    const server = createServer((req, res) => {
      const { method, headers, url = '/' } = req;
      if (proxy.instead !== undefined) {
        proxy.pages += 1;
        res.writeHead(proxy.instead, { 'content-type': 'text/html' }).end('<html>Please wait</html>');
        return;
      }
      const passing = request(new URL(url, target()), { method, headers, agent: false }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
        answer.on('close', () => {
          if (!answer.complete) res.destroy();
        });
      });
      passing.on('error', () => {
        if (res.headersSent) res.destroy();
        else res.writeHead(502).end('Bad Gateway');
      });
      res.on('close', () => passing.destroy());
      req.pipe(passing);
    });
    const proxy = new HttpProxy(server);
    server.on('upgrade', (_req, socket) => {
      proxy.refused += 1;
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

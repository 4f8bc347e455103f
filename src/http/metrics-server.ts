import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StartError } from '../errors.js';
import { limits } from '../graphql/limits.js';
import type { Logger } from '../observability/logger.js';
import type { Metrics } from '../observability/metrics.js';
import { inTurn } from './connections/in-turn.js';

export interface MetricsServerOptions {
  /** 0 lets the system pick one. */
  readonly port: number;
  readonly host: string;
  readonly read: () => Promise<Metrics>;
  readonly logger: Logger;
}

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * `/metrics` on a port of its own, for the scraper: so that what is public and what is not is decided by addresses, and a proxy in front of the
 * server's port cannot let it out. Throws StartError when the port is taken.
 */
export async function serveMetrics({
  port,
  host,
  read,
  logger,
}: MetricsServerOptions): Promise<MetricsServer> {
  const answer = (req: IncomingMessage, res: ServerResponse): void => {
    if (req.url?.split('?', 1)[0] !== '/metrics' || (req.method !== 'GET' && req.method !== 'HEAD')) {
      res.writeHead(404, { 'content-type': 'application/json' }).end('{"code":"NOT_FOUND"}\n');
      return;
    }
    read().then(
      ({ type, text }) => {
        res.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
        res.end(req.method === 'HEAD' ? undefined : text);
      },
      (err: unknown) => {
        logger.error({ err }, 'the metrics could not be read');
        res.writeHead(500, { 'content-type': 'application/json' }).end('{"code":"INTERNAL_SERVER_ERROR"}\n');
      },
    );
  };
  const server = createServer(inTurn(answer));
  // Of a client that takes nothing.
  server.setTimeout(limits.stalledMs);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new StartError(`METRICS_PORT: got ${port}; it cannot be listened on: ${error.message}`));
    });
    server.listen(port, host, resolve);
  });
  server.on('error', (err) => logger.debug({ err }, 'a connection for the metrics was not accepted'));
  const { address, port: actual, family } = server.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${actual}/metrics`;
  logger.info({ url }, 'metrics are served');
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

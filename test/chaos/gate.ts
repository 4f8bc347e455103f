import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

interface Pair {
  readonly outer: Socket;
  readonly inner: Socket;
  readonly port: number;
}

/** The network between one client and the servers: a TCP proxy that can cut what passes through it, and hold it up. */
export class Gate implements AsyncDisposable {
  private readonly pairs = new Set<Pair>();
  private frozen = false;
  /** Connections that reached a server so far. */
  opened = 0;

  private constructor(
    private readonly server: Server,
    readonly url: string,
    private readonly target: () => number | undefined,
  ) {}

  /** `target`: the port to connect to now; undefined refuses. */
  static async open(target: () => number | undefined): Promise<Gate> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const gate = new Gate(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`, target);
    server.on('connection', (outer) => {
      const port = target();
      outer.on('error', () => undefined);
      if (port === undefined) outer.resetAndDestroy();
      else gate.join(outer, port);
    });
    return gate;
  }

  /** Every connection breaks, without a word. */
  cut(): void {
    for (const { outer, inner } of this.pairs) {
      outer.resetAndDestroy();
      inner.resetAndDestroy();
    }
  }

  /** As a balancer does once a server is back: connections to another one than the client would be led to now are cut. */
  leadHome(): void {
    for (const { outer, inner, port } of this.pairs) {
      if (port === this.target()) continue;
      outer.resetAndDestroy();
      inner.resetAndDestroy();
    }
  }

  /** The client stops reading, on connections that it has and on those that it opens, until `thaw`. */
  freeze(): void {
    this.frozen = true;
    for (const { outer, inner } of this.pairs) {
      inner.unpipe(outer);
      inner.pause();
    }
  }

  thaw(): void {
    this.frozen = false;
    for (const { outer, inner } of this.pairs) inner.pipe(outer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.cut();
    await closed;
  }

  private join(outer: Socket, port: number): void {
    const inner = connect({ port, host: '127.0.0.1', noDelay: true });
    const pair = { outer, inner, port };
    this.pairs.add(pair);
    this.opened += 1;
    outer.setNoDelay(true);
    inner.on('error', () => undefined);
    const part = (): void => {
      this.pairs.delete(pair);
      outer.destroy();
      inner.destroy();
    };
    outer.on('close', part);
    inner.on('close', part);
    outer.pipe(inner);
    if (!this.frozen) inner.pipe(outer);
  }
}

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** A network between clients and a server that a test can break, and lead to another server. */
export class Wire implements AsyncDisposable {
  private readonly ends = new Set<Socket>();
  private isUp = true;
  private readonly traps: {
    readonly text: string;
    readonly when: 'asking' | 'answering';
    passing: number;
  }[] = [];

  private constructor(
    private readonly server: Server,
    private target: string,
  ) {}

  static async to(url: string): Promise<Wire> {
    const server = createServer((socket) => wire.carry(socket));
    const wire = new Wire(server, url);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return wire;
  }

  /** Where clients find the server. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Breaks every connection, and each new one at once. */
  cut(): void {
    this.isUp = false;
    for (const end of this.ends) end.destroy();
  }

  /** From now on nothing passes, and nobody is told: as when a laptop changes its network. New connections pass. */
  freeze(): void {
    for (const end of this.ends) end.unpipe().pause();
  }

  /**
   * Breaks the connection over which the client sends `text` next: before the server has it (`asking`), or once it has answered and
   * the client does not know (`answering`). Called again, it sets a trap that works once those before it have.
   */
  breakAt(text: string, when: 'asking' | 'answering', passing = 0): void {
    this.traps.push({ text, when, passing });
  }

  /** Whether a trap of `breakAt` is still waiting. */
  get isArmed(): boolean {
    return this.traps.length > 0;
  }

  mend(url = this.target): void {
    this.target = url;
    this.isUp = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }

  private carry(client: Socket): void {
    if (!this.isUp) {
      client.destroy();
      return;
    }
    const { hostname, port } = new URL(this.target);
    const server = connect(Number(port), hostname);
    client.on('data', (chunk: Buffer) => {
      const [trap] = this.traps;
      if (trap === undefined || !chunk.includes(trap.text) || trap.passing-- > 0) return;
      this.traps.shift();
      if (trap.when === 'asking') server.destroy();
      else
        server
          .unpipe(client)
          .once('data', () => server.destroy())
          .resume();
    });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.ends.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        this.ends.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** Which way bytes go: what clients ask, or what the server answers. */
export type Way = 'asking' | 'answering';

/** One way of one connection. */
interface Lane {
  readonly way: Way;
  readonly from: Socket;
  readonly to: Socket;
  isSilent: boolean;
}

/** A network between clients and a server that a test can break, and lead to another server. */
export class Wire implements AsyncDisposable {
  private readonly lanes = new Set<Lane>();
  private readonly sockets = new Set<Socket>();
  private isUp = true;
  /** For connections to come. */
  private silentWays: readonly Way[] = [];
  private readonly traps: {
    readonly text: string;
    readonly when: Way;
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

  /** The same server as `url` names, through this network. */
  through(url: string): string {
    const through = new URL(url);
    through.host = new URL(this.url).host;
    return through.href;
  }

  /** Breaks every connection, and each new one at once. */
  cut(): void {
    this.isUp = false;
    for (const { from } of this.lanes) from.destroy();
  }

  /**
   * From now on no byte passes, no FIN and no RST, and nobody is told: as when a laptop changes its network, or an address leads
   * to another server. Of the connections that there are, or with `all` of new ones as well, until `resume`.
   */
  silence({
    ways = ['asking', 'answering'],
    all = false,
  }: { ways?: readonly Way[]; all?: boolean } = {}): void {
    if (all) this.silentWays = ways;
    for (const lane of this.lanes) {
      if (!ways.includes(lane.way)) continue;
      lane.isSilent = true;
      lane.from.unpipe().pause();
    }
  }

  /** Bytes pass again, those of silent connections too. */
  resume(): void {
    this.silentWays = [];
    for (const lane of this.lanes) {
      if (!lane.isSilent) continue;
      lane.isSilent = false;
      lane.from.pipe(lane.to);
    }
  }

  /**
   * Breaks the connection over which the client sends `text` next: before the server has it (`asking`), or once it has answered and
   * the client does not know (`answering`). Called again, it sets a trap that works once those before it have.
   */
  breakAt(text: string, when: Way, passing = 0): void {
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
    for (const socket of this.sockets) socket.destroy();
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
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    }
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
    const lanes = [
      { way: 'asking' as const, from: client, to: server },
      { way: 'answering' as const, from: server, to: client },
    ].map((lane): Lane => ({ ...lane, isSilent: this.silentWays.includes(lane.way) }));
    for (const lane of lanes) {
      const { from, to } = lane;
      this.lanes.add(lane);
      from.on('error', () => undefined);
      from.on('close', () => {
        this.lanes.delete(lane);
        // Of a silent way nobody hears that it has ended.
        if (!lane.isSilent) to.destroy();
      });
      if (!lane.isSilent) from.pipe(to);
    }
  }
}

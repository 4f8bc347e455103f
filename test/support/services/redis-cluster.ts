import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { eventually, within } from '../deadline.js';
import { findBinary } from './binaries.js';
import { askLine, onFreePort } from './ports.js';
import { openSandbox, type Sandbox, type SandboxProcess } from './sandbox.js';

const run = promisify(execFile);

/** A Redis Cluster of one's own: three masters, each with a replica, on the loopback. */
export interface RedisClusterServers extends AsyncDisposable {
  /** As REDIS_CLUSTER_NODES takes them. */
  readonly nodes: string;
  readonly members: readonly ClusterMember[];
  /** Who has the slot now, as most of those who run say. */
  masterOf(slot: number): Promise<ClusterMember>;
  /** Every slot has a master, and every master a replica that follows it. */
  whole(): Promise<void>;
  /** Gives the slot to another master, as `redis-cli --cluster reshard` does, and answers who has it now. */
  moveSlot(slot: number): Promise<ClusterMember>;
}

export interface ClusterMember {
  readonly port: number;
  /** Neither killed nor paused. */
  readonly running: boolean;
  /** At once, as by `kill -9`. Its replica takes over after about two seconds. */
  kill(): Promise<void>;
  /** Again on the same port, and with what it knew of the cluster. */
  start(): Promise<void>;
  /** Connections stay and nothing answers, until `resume`; for longer than the others wait it is as good as dead. */
  pause(): void;
  resume(): void;
  /** What the server answers to a command, as redis-cli prints it. */
  ask(...command: readonly string[]): Promise<string>;
}

/** Milliseconds of silence after which the others hold a node for dead. */
const NODE_TIMEOUT_MS = 1000;
const MASTERS = 3;

/** Starts one, with `settings` (as redis-server takes arguments) beside its own. Throws when it cannot: ask `isMissing(services.redisServer)` first. */
export async function startRedisCluster(settings: readonly string[] = []): Promise<RedisClusterServers> {
  const sandbox = await openSandbox();
  try {
    const members: Member[] = [];
    for (let i = 0; i < 2 * MASTERS; i += 1) members.push(await Member.start(sandbox, i, settings));
    const nodes = members.map(({ port }) => `127.0.0.1:${port}`);
    const create = ['--cluster', 'create', ...nodes, '--cluster-replicas', '1', '--cluster-yes'];
    await run(cli(), create, { timeout: 30_000 });
    const cluster = new Servers(sandbox, members);
    await cluster.whole();
    return cluster;
  } catch (error) {
    await sandbox[Symbol.asyncDispose]();
    throw error;
  }
}

class Servers implements RedisClusterServers {
  readonly nodes: string;

  constructor(
    private readonly sandbox: Sandbox,
    readonly members: readonly Member[],
  ) {
    this.nodes = members.map(({ port }) => `127.0.0.1:${port}`).join(',');
  }

  async masterOf(slot: number): Promise<Member> {
    const views = await Promise.all(
      this.running().map(async (member) => masterIn(await member.view(), slot)),
    );
    const [port] = [...new Set(views)].sort(
      (a, b) => views.filter((view) => view === b).length - views.filter((view) => view === a).length,
    );
    const master = this.members.find((member) => member.port === port);
    if (master === undefined) throw new Error(`Slot ${slot} has no master`);
    return master;
  }

  async whole(): Promise<void> {
    await eventually(30_000, 'the Redis Cluster is whole', async () => {
      for (const member of this.running()) {
        const info = await member.ask('CLUSTER', 'INFO');
        if (!info.includes('cluster_state:ok') || !info.includes('cluster_size:3')) return false;
        const view = await member.view();
        if (view.some(({ flags }) => /fail|handshake/.test(flags))) return false;
        const replication = await member.ask('INFO', 'replication');
        if (!/master_link_status:up|connected_slaves:1/.test(replication)) return false;
      }
      return true;
    });
  }

  async moveSlot(slot: number): Promise<Member> {
    const from = await this.masterOf(slot);
    const view = await from.view();
    const masters = view.filter(({ flags }) => flags.includes('master'));
    const source = masters.find(({ port }) => port === from.port)!;
    const target = masters.find(({ port }) => port !== from.port)!;
    const to = this.members.find(({ port }) => port === target.port)!;
    await to.ask('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', source.id);
    await from.ask('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', target.id);
    for (const member of [to, from]) await member.ask('CLUSTER', 'SETSLOT', String(slot), 'NODE', target.id);
    await eventually(10_000, 'everyone knows where the slot is', async () => {
      const views = await Promise.all(this.running().map((member) => member.view()));
      return views.every((one) => masterIn(one, slot) === to.port);
    });
    return to;
  }

  private running(): Member[] {
    return this.members.filter(({ running }) => running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
  }
}

interface NodeView {
  readonly id: string;
  readonly port: number;
  readonly flags: string;
  readonly slots: readonly (readonly [from: number, to: number])[];
}

const masterIn = (view: readonly NodeView[], slot: number): number | undefined =>
  view.find(({ slots }) => slots.some(([from, to]) => slot >= from && slot <= to))?.port;

class Member implements ClusterMember {
  private paused = false;

  private constructor(
    readonly port: number,
    private server: SandboxProcess,
    private readonly launch: () => Promise<SandboxProcess>,
  ) {}

  static async start(sandbox: Sandbox, index: number, settings: readonly string[]): Promise<Member> {
    // The port of the cluster's bus is free as well: by itself it would be 10000 higher, which may be none.
    const [port, [busPort, server]] = await onFreePort((candidate) =>
      onFreePort((bus) => launch(sandbox, candidate, bus, index, settings)),
    );
    return new Member(port, server, () => launch(sandbox, port, busPort, index, settings));
  }

  get running(): boolean {
    return this.server.running && !this.paused;
  }

  async kill(): Promise<void> {
    process.kill(this.server.pid, 'SIGKILL');
    await within(10_000, 'the end of a node', this.server.ended);
  }

  async start(): Promise<void> {
    if (this.server.running) throw new Error('This node runs already');
    this.server = await this.launch();
  }

  pause(): void {
    process.kill(this.server.pid, 'SIGSTOP');
    this.paused = true;
  }

  resume(): void {
    process.kill(this.server.pid, 'SIGCONT');
    this.paused = false;
  }

  async ask(...command: readonly string[]): Promise<string> {
    const { stdout } = await run(cli(), ['-p', String(this.port), ...command], { timeout: 10_000 });
    if (/^ERR|^\(error\)/.test(stdout)) throw new Error(`${command.join(' ')}: ${stdout}`);
    return stdout;
  }

  /** `CLUSTER NODES`: id, ip:port@bus, flags, master, ping, pong, epoch, link, slots. */
  async view(): Promise<NodeView[]> {
    const lines = (await this.ask('CLUSTER', 'NODES')).trim().split('\n');
    return lines.map((line) => {
      const [id = '', address = '', flags = '', , , , , , ...slots] = line.split(' ');
      const ranges = slots.filter((range) => !range.startsWith('['));
      return {
        id,
        flags,
        port: Number(/:(\d+)@/.exec(address)?.[1]),
        slots: ranges.map((range) => {
          const [from, to = from] = range.split('-').map(Number);
          return [from!, to!] as const;
        }),
      };
    });
  }
}

async function launch(
  sandbox: Sandbox,
  port: number,
  busPort: number,
  index: number,
  settings: readonly string[],
): Promise<SandboxProcess> {
  const command = findBinary('redis-server');
  if (command === undefined) throw new Error('redis-server is not on this machine');
  const options = {
    bind: '127.0.0.1',
    port,
    save: '',
    appendonly: 'no',
    dir: sandbox.directory,
    'cluster-enabled': 'yes',
    'cluster-port': busPort,
    'cluster-config-file': `nodes-${index}.conf`,
    'cluster-node-timeout': NODE_TIMEOUT_MS,
    // A replica that has just started may take over, though it has nothing yet: there is nothing to have.
    'cluster-replica-validity-factor': 0,
    'repl-diskless-sync-delay': 0,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const server = await sandbox.start(command, [...args, ...settings], 'SIGKILL');
  const ready = eventually(10_000, `the node on port ${port} answers`, async () => {
    if (!server.running) return 'ended' as const;
    return (await askLine(port, 'PING')) === '+PONG' && 'ready';
  });
  if ((await ready) === 'ended' || !server.running)
    throw new Error(`A node did not start:\n${sandbox.log()}`);
  return server;
}

function cli(): string {
  const command = findBinary('redis-cli');
  if (command === undefined) throw new Error('redis-cli is not on this machine');
  return command;
}

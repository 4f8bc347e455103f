import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { eventually, within } from '../../test/support/deadline.ts';
import { onFreePort } from '../../test/support/services/ports.ts';
import { openSandbox } from '../../test/support/services/sandbox.ts';
import { quiet } from './machine.js';
import { HERE, ROOT } from './paths.js';
import { DISTURBED, othersCpuSeconds } from './processes.js';

/** What the sections measure with: servers on their own core, loads in processes of their own. */
export class Bench {
  #sandbox;

  constructor(options, services) {
    this.options = options;
    this.services = services;
  }

  /**
   * Calls `work` for each peer as often as runs are wanted, one peer after the other, in each second round the other way, so that none
   * is always measured first. Answers what it answered; a run that fails is `failed`, and the others go on.
   */
  async interleave(peers, work, summary) {
    const runs = [];
    for (let round = 0; round < this.options.reps; round++) {
      for (const peer of round % 2 === 0 ? peers : [...peers].reverse()) {
        await this.quiet();
        const run = await work(peer).catch((error) => ({ failed: error.message }));
        runs.push({ peer: peer.name, round, ...run });
        const told = run.failed === undefined ? summary(run) : `FAILED: ${run.failed}`;
        console.error(`${peer.name} ${round + 1}/${this.options.reps}: ${told}`);
      }
    }
    return runs;
  }

  /** What `work` answers, with how `disturbed` it was. When others used our cores meanwhile it is done again, twice at most. */
  async undisturbed(work) {
    for (let attempt = 1; ; attempt++) {
      await this.quiet();
      const start = performance.now();
      const others = othersCpuSeconds(process.pid);
      const answer = await work();
      const seconds = (performance.now() - start) / 1000;
      const disturbed = (othersCpuSeconds(process.pid) - others) / seconds;
      if (this.options.noWait || disturbed <= DISTURBED || attempt === 3) return { ...answer, disturbed };
    }
  }

  async quiet() {
    if (!this.options.noWait) await quiet();
  }

  /**
   * Starts `program` (Node) with `args`, which may depend on the port, on the server's core or on `cpus`, with PORT and `env` and nothing
   * else of our environment. Resolves with its `url`, `pid` and `stop` when it listens. It writes what it logs to a file, and ends with
   * the bench.
   */
  async startServer(args, env = {}, { cpus = this.options.serverCpu, program = process.execPath } = {}) {
    const sandbox = await this.sandbox();
    const [port, server] = await onFreePort(async (candidate) => {
      const pairs = Object.entries({ NODE_ENV: 'production', ...env, PORT: candidate });
      const variables = pairs.map(([name, value]) => `${name}=${value}`);
      const given = typeof args === 'function' ? args(candidate) : args;
      const pinned = ['taskset', '--cpu-list', cpus, program, ...given];
      const started = await sandbox.start('env', [...variables, ...pinned]);
      const name = basename(given.at(-1));
      const listens = await eventually(60_000, `${name} listens`, () =>
        started.running ? canConnect(candidate) : 'ended',
      );
      if (listens === 'ended') throw new Error(`${name} ended at once:\n${sandbox.log()}`);
      return started;
    });
    return {
      url: `http://127.0.0.1:${port}`,
      pid: server.pid,
      stop: async () => {
        if (!server.running) return;
        process.kill(server.pid, 'SIGTERM');
        await within(10_000, 'the end of a server', server.ended).catch(() => {
          process.kill(server.pid, 'SIGKILL');
          return server.ended;
        });
      },
    };
  }

  /**
   * Runs a module of bench/load with `config`, on the load's core, and resolves with what it answers. By itself it may take as long as
   * Parley's access tokens are good for.
   */
  load(module, config, ms = 840_000) {
    const args = [join(HERE, 'load', module), JSON.stringify({ ...config, benchPid: process.pid })];
    return this.command(process.execPath, args, ms).then((output) => JSON.parse(output));
  }

  /** What a program prints. It runs on the load's core unless `cpus` says otherwise, `ms` at most. */
  async command(program, args, ms, { cpus = this.options.loadCpu, cwd = ROOT } = {}) {
    const child = spawn('taskset', ['--cpu-list', cpus, program, ...args], {
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: ms,
      killSignal: 'SIGKILL',
    });
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    const ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    let output = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) output += chunk;
    const code = await ended;
    process.off('exit', kill);
    if (code !== 0)
      throw new Error(`${basename(program)} ended with ${code ?? 'a signal'}: ${output.slice(-500)}`);
    return output;
  }

  /** A folder for what lasts no longer than the bench. */
  async sandbox() {
    this.#sandbox ??= openSandbox();
    return this.#sandbox;
  }

  async stop() {
    await (await this.#sandbox)?.[Symbol.asyncDispose]();
    await this.services.stop();
  }
}

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

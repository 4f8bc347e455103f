import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { App } from '../../src/app.js';
import { startParley } from '../support/app.js';
import { eventually } from '../support/deadline.js';
import { findBinary } from '../support/services/binaries.js';

const README = new URL('../../README.md', import.meta.url);
const ADDRESS = 'parley=http://127.0.0.1:4000/graphql';

/** One block to paste, and what the README says it prints. */
interface Step {
  readonly lines: string[];
  /** `…` stands for what differs each time. */
  readonly prints: string[];
}

function stepsOf(readme: string): Step[] {
  const [, conversation = ''] = readme.split(/^<!-- \/?conversation -->$/m);
  const found: Step[] = [];
  for (const [, language, text = ''] of conversation.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    const lines = text.split('\n').filter((line) => line !== '');
    if (language === 'bash') found.push({ lines, prints: [] });
    else found.at(-1)?.prints.push(...lines);
  }
  return found;
}

/** A line that ends with a backslash goes on in the next one. */
const commandsOf = (lines: readonly string[]): string[] => lines.join('\n').split(/(?<!\\)\n/);

const patternOf = (line: string): RegExp =>
  new RegExp(`^${line.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`).replaceAll('…', '.+')}$`);

/** A bash that is typed into, in an empty folder. */
class Shell implements AsyncDisposable {
  private readonly bash;
  private output = '';
  private errors = '';
  private commands = 0;

  static async open(): Promise<Shell> {
    return new Shell(await mkdtemp(join(tmpdir(), 'parley-readme-')));
  }

  private constructor(private readonly folder: string) {
    this.bash = spawn('bash', ['--norc'], {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder },
    });
    this.bash.stdout.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.bash.stderr.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
  }

  /**
   * Types commands, each once the one before has succeeded. Answers the lines that came meanwhile, from the background too,
   * at the latest some seconds after `count` of them were to come.
   */
  async type(commands: readonly string[], count: number): Promise<string[]> {
    const from = this.output.length;
    const printed = (): string[] =>
      this.output
        .slice(from)
        .split('\n')
        // Beside what our own echo says: an event stream's empty lines, and the comments that keep it alive.
        .filter((line) => line !== '' && line !== ':' && !line.startsWith('done '));
    for (const command of commands) {
      this.commands += 1;
      const done = new RegExp(`^done ${this.commands} (\\d+)$`, 'm');
      this.bash.stdin.write(`${command}\nstatus=$?; echo; echo "done ${this.commands} $status"\n`);
      const status = await eventually(
        10_000,
        `the end of: ${command}`,
        () => done.exec(this.output)?.[1],
      ).catch(() => 'none');
      expect(status, `${command}\n${this.output.slice(from)}\n${this.errors}`).toBe('0');
    }
    // What is missing then, the comparison tells.
    await eventually(5_000, 'the output', () => printed().length >= count).catch(() => undefined);
    return printed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.bash.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

const isSkipped = findBinary('curl') === undefined && (process.env['REQUIRE_TEST_SERVICES'] ?? '') === '';

describe.skipIf(isSkipped)('the conversation in the README (with curl)', async () => {
  const steps = stepsOf(await readFile(README, 'utf8'));
  let app: App;
  let shell: Shell;
  beforeAll(async () => {
    app = await startParley();
    shell = await Shell.open();
  });
  afterAll(async () => {
    await shell[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();
  });

  test('begins with the address', () => {
    expect(steps[0]?.lines[0]).toBe(ADDRESS);
    expect(steps.length).toBeGreaterThan(5);
  });

  // One after the other in one shell, as someone pastes them.
  test.each(steps.map((step, i) => [i + 1, step] as const))('step %i', async (_number, { lines, prints }) => {
    const commands = commandsOf(lines.map((line) => (line === ADDRESS ? `parley=${app.url}/graphql` : line)));
    const printed = await shell.type(commands, prints.length);
    // An answer and an event may change places, so each line is looked for anywhere.
    const rest = [...printed];
    for (const line of prints) {
      const at = rest.findIndex((one) => patternOf(line).test(one));
      expect(at, `${line}\nis none of\n${printed.join('\n')}`).toBeGreaterThanOrEqual(0);
      rest.splice(at, 1);
    }
    expect(rest).toEqual([]);
  });
});

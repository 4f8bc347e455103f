import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { openEmbeddedPostgres } from '../../src/db/embedded/pglite.js';
import { Client } from '../support/client.js';
import { eventually } from '../support/deadline.js';
import { NO_RATES } from '../support/rates.js';
import { Follower, THICK, THIN } from './follower.js';
import { Gate } from './gate.js';
import { Ledger } from './ledger.js';
import { AppNode } from './node.js';
import { makePerson } from './people.js';
import { Random } from './random.js';
import { KINDS, transport } from './transports.js';
import { judge, type Verdict } from './verdict.js';
import { Writer } from './writer.js';

export interface EmbeddedOptions {
  readonly seed: number;
  /** How often the process is killed. */
  readonly kills: number;
  readonly log?: (line: string) => void;
}

export interface EmbeddedOutcome {
  readonly seed: number;
  readonly kills: number;
  readonly verdict: Verdict;
  readonly ledger: Ledger;
  /** Second processes that were refused. */
  readonly refused: number;
  /** Milliseconds until the process was ready again. */
  readonly longestStart: number;
  readonly failedStarts: number;
  readonly oddities: readonly string[];
}

const WRITERS = 3;
/** Writes that are acknowledged between two kills. */
const [FEWEST, MOST] = [20, 80];
/** Kills between two attempts to start a second process. */
const SECOND_EVERY = 5;

/** One embedded process that is killed in the middle of writes, again and again, with readers who resume. */
export async function runEmbedded({
  seed,
  kills,
  log = () => undefined,
}: EmbeddedOptions): Promise<EmbeddedOutcome> {
  const random = new Random(seed);
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-chaos-'));
  const node = new AppNode({
    name: 'embedded',
    env: { HOST: '127.0.0.1', PORT: '0', DATA_DIR: dataDir, LOG_LEVEL: 'warn', ...NO_RATES },
    logFile: `${dataDir}.log`,
  });
  await node.start();
  await using gate = await Gate.open(() => node.port);
  const stop = new AbortController();
  try {
    const owner = await makePerson(gate.url, 'owner');
    const client = new Client(gate.url, await owner.session.accessToken());
    const roomId = await client.createRoom();
    const { room } = await client.run(`query ($id: ID!) { room(id: $id) { eventCursor } }`, { id: roomId });
    const followers = KINDS.map(
      (kind, i) =>
        new Follower(
          kind,
          kind,
          owner.userId,
          roomId,
          room.eventCursor,
          i % 2 === 0 ? THICK : THIN,
          transport(kind, gate.url, owner.session),
          random.fork(),
          () => undefined,
        ),
    );
    const ledger = new Ledger();
    const writing = Array.from({ length: WRITERS }, (_, i) =>
      new Writer(`writer ${i}`, owner, [gate.url, gate.url], [roomId], random.fork(), ledger).run(
        20,
        stop.signal,
      ),
    );

    let [refused, longestStart] = [0, 0];
    for (let kill = 1; kill <= kills; kill += 1) {
      const enough = ledger.entries.length + random.between(FEWEST, MOST);
      await eventually(60_000, 'writes are acknowledged', () => ledger.entries.length >= enough);
      if (kill % SECOND_EVERY === 0) {
        if (!(await node.refusalOfAnother()).includes('is in use by another Parley process'))
          ledger.odd('a second process that ended for another reason');
        refused += 1;
      }
      await pause(random.between(0, 50));
      await node.kill();
      const at = Date.now();
      await node.start();
      longestStart = Math.max(longestStart, Date.now() - at);
      log(`kill ${kill}: ${ledger.entries.length} writes, ready after ${Date.now() - at} ms`);
    }
    stop.abort();
    await Promise.all(writing);
    const { room: after } = await client.run(
      `query ($id: ID!) { room(id: $id) { messages(first: 1) { totalCount } } }`,
      { id: roomId },
    );
    const added = ledger.entries.filter(({ kind }) => kind === 'MESSAGE_ADDED').length;
    if (after.messages.totalCount !== added) ledger.odd('a count of messages that is not theirs');
    const [first] = followers;
    await eventually(30_000, 'everyone catches up', () =>
      followers.every(
        ({ lastSeq, seqs }) => lastSeq === first!.lastSeq && seqs.length >= ledger.entries.length,
      ),
    ).catch((error: unknown) => log(String(error)));
    for (const follower of followers) follower.stop();

    await node.kill();
    const embedded = await openEmbeddedPostgres(dataDir);
    try {
      return {
        seed,
        kills,
        verdict: await judge(embedded.poolConfig, followers, ledger, []),
        ledger,
        refused,
        longestStart,
        failedStarts: node.failedStarts,
        oddities: [
          ...node.crashes,
          ...[ledger, ...followers].flatMap(({ oddities }) =>
            [...oddities].map(([what, n]) => `${what}: ${n}`),
          ),
        ],
      };
    } finally {
      await embedded.close();
    }
  } finally {
    stop.abort();
    await node.kill();
    await rm(dataDir, { recursive: true, force: true });
    await rm(`${dataDir}.log`, { force: true });
  }
}

import cluster from 'node:cluster';
import { setTimeout as pause } from 'node:timers/promises';
import { backoff } from '../async/backoff.js';
import type { Config } from '../config/config.js';
import { StartError } from '../errors.js';
import type { Logger } from '../observability/logger.js';
import { leave } from './leave.js';
import { Member } from './member.js';

/** The pauses before a process is started again in the place of one that ended. */
const RESTARTS = { firstMs: 200, mostMs: 30_000 };
/** A process that lives for so many milliseconds has started well: the next to end counts from the beginning. */
const STEADY_MS = 60_000;
/** Milliseconds for a process to be ready when others serve meanwhile. It may have to migrate a large database. */
const READY_MS = 300_000;
/** Milliseconds for which processes that are replaced empty pools of connections before they close. */
const RETIRE_MS = 1000;
/** Milliseconds for a process to let everyone go and finish; it takes 30 s at most. Beyond, it is killed. */
const DRAIN_MS = 45_000;

/**
 * The process that has WORKERS others serve on one port. It listens, hands each connection to the next of them in turn, and loads
 * nothing of the server: what they do is theirs. It starts another one for each that ends unasked, and replaces all of them
 * (`roll`) by a generation that is ready before the one before it leaves.
 */
export class Primary {
  /** All that have not ended. */
  readonly members = new Set<Member>();
  /** Called with each that has ended and had its last word. */
  onEnd: (member: Member) => void = () => undefined;
  /** Whose members serve: raised once those of the next one are ready. */
  private generation = 0;
  private isStopping = false;
  private rolling: Promise<void> | undefined;
  private rollsAgain = false;
  /** The port that the next member is to listen on, and the one that they do listen on. */
  private port: number;
  private listening: number;

  constructor(
    private readonly config: Pick<Config, 'workers' | 'port'>,
    private readonly logger: Logger,
  ) {
    this.port = this.listening = config.port;
    // Also where the system would choose: each in turn, and whoever closes hands back what it was given.
    cluster.schedulingPolicy = cluster.SCHED_RR;
  }

  /** Resolves with the address once all of them listen. Throws StartError with the reason of the first that does not come so far. */
  async start(): Promise<string> {
    const members = this.forkAll(this.generation);
    try {
      const [url = ''] = await Promise.all(members.map(({ ready }) => ready));
      for (const member of members) this.lookAfter(member);
      return url;
    } catch (error) {
      for (const member of members) member.kill();
      throw new StartError(reasonOf(error));
    }
  }

  /** Replaces all processes. One that is asked for during another one comes after it; more than one come to one. */
  readonly roll = (): void => {
    if (this.isStopping) return;
    if (this.rolling !== undefined) {
      this.rollsAgain = true;
      return;
    }
    this.rolling = this.rollOnce().finally(() => {
      this.rolling = undefined;
      if (!this.rollsAgain) return;
      this.rollsAgain = false;
      this.roll();
    });
  };

  /** Lets all of them leave, after `ms` in which they serve on. Resolves when they are gone. */
  async stop(ms: number): Promise<void> {
    this.isStopping = true;
    for (const member of this.members) if (!member.isServing) member.kill();
    const leaving = [...this.members].filter(({ isLeaving }) => !isLeaving);
    await this.leave(leaving, true, ms);
    // Those of a roll that is under way leave by it.
    await Promise.all([...this.members].map(({ ended }) => ended));
  }

  /** Ends all of them now. */
  kill(): void {
    this.isStopping = true;
    for (const member of this.members) member.kill();
  }

  /**
   * Phases: start the next generation, wait until all of it is ready (or take it back), change over, let the one before leave.
   * Both take connections until the old ones close, so there are always some that do.
   */
  private async rollOnce(): Promise<void> {
    const next = this.generation + 1;
    this.logger.info({ generation: next }, 'replacing the processes');
    const fresh = this.forkAll(next);
    try {
      await readyInTime(fresh);
    } catch (error) {
      // A stop meanwhile sees to all of them.
      if (this.isStopping) return;
      for (const member of fresh) if (!member.isServing) member.kill();
      this.logger.error({ reason: reasonOf(error) }, 'the processes are not replaced: the old ones go on');
      // Those that were ready have taken connections meanwhile.
      await this.leave(
        fresh.filter(({ isServing }) => isServing),
        false,
        RETIRE_MS,
      );
      return;
    }
    if (this.isStopping) return;
    this.generation = next;
    for (const member of fresh) this.lookAfter(member);
    const old = [...this.members].filter(({ generation }) => generation < next);
    for (const member of old) if (!member.isServing) member.kill();
    await this.leave(old, false, RETIRE_MS);
    this.logger.info({ generation: next }, 'the processes are replaced');
  }

  private async leave(members: readonly Member[], isStopping: boolean, ms: number): Promise<void> {
    for (const member of members) member.isLeaving = true;
    const together = {
      retire: () => {
        for (const member of members) member.tell({ type: 'retire', isStopping });
      },
      close: async () => {
        await Promise.all(members.map((member) => member.close()));
      },
      drain: async () => {
        for (const member of members) member.tell({ type: 'drain' });
        await Promise.all(members.map(({ ended }) => ended));
      },
    };
    const cut = setTimeout(() => {
      for (const member of members) member.kill();
    }, ms + DRAIN_MS);
    await leave(together, ms);
    clearTimeout(cut);
  }

  /** When it ends unasked, another one takes its place. */
  private lookAfter(member: Member): void {
    void member.ended.then(async (how) => {
      if (member.isLeaving) return;
      const attempt = performance.now() - member.bornAt < STEADY_MS ? member.attempt + 1 : 0;
      await this.replace(member, how, attempt);
    });
  }

  /** `attempt`: how many in a row have ended before their time, this one included. */
  private async replace(member: Member, reason: string, attempt: number): Promise<void> {
    // A roll since, or the stop, has left nobody to replace.
    const isDue = (): boolean => !this.isStopping && member.generation === this.generation;
    let [gone, why] = [member, reason];
    for (let attempts = attempt; isDue(); attempts += 1) {
      const ms = Math.round(backoff(RESTARTS, attempts));
      const what = { worker: gone.pid, reason: why, ms };
      this.logger.error(what, 'a process ended by itself: another one is started');
      await pause(ms);
      if (!isDue()) return;
      const fresh = this.fork(this.generation, attempts);
      try {
        await readyInTime([fresh]);
      } catch (error) {
        fresh.kill();
        [gone, why] = [fresh, reasonOf(error)];
        continue;
      }
      if (isDue()) this.lookAfter(fresh);
      // It belongs to a generation that has left.
      else fresh.kill();
      return;
    }
  }

  private forkAll(generation: number): Member[] {
    return Array.from({ length: this.config.workers }, () => this.fork(generation, 0));
  }

  private fork(generation: number, attempt: number): Member {
    const member = new Member(cluster.fork({ PORT: String(this.port) }), generation, attempt);
    this.members.add(member);
    void member.ready.then(
      (url) => {
        this.listening = Number(new URL(url).port);
      },
      () => undefined,
    );
    void Promise.all([member.ended, member.silent]).then(() => {
      this.onEnd(member);
    });
    void member.ended.then(() => {
      this.members.delete(member);
      // Port 0 is one port as long as someone listens; when nobody does any more, the next one has to name it.
      if (![...this.members].some(({ isServing }) => isServing)) this.port = this.listening;
    });
    return member;
  }
}

/** Resolves when all of them serve. Rejects with why one of them does not. */
async function readyInTime(members: readonly Member[]): Promise<void> {
  let late: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    late = setTimeout(() => {
      reject(new Error(`a process was not ready within ${READY_MS / 1000} s`));
    }, READY_MS);
  });
  const allReady = Promise.all(members.map(({ ready }) => ready));
  try {
    await Promise.race([allReady, deadline]);
  } finally {
    clearTimeout(late);
  }
  for (const { isServing, ended } of members) if (!isServing) throw new Error(await ended);
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

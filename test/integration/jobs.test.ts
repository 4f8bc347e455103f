import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/env.js';
import { transaction } from '../../src/db/database.js';
import { migrateToLatest } from '../../src/db/migrator.js';
import { openDatabase, type OpenDatabase } from '../../src/db/open.js';
import { JobRunner, type JobKind, type JobTimes } from '../../src/jobs/job-runner.js';
import { addJob, takeJob } from '../../src/jobs/jobs.queries.js';
import { migrations } from '../../migrations/index.js';
import { createLogger } from '../../src/observability/logger.js';
import { backends, environmentOf, makePlace, type Place } from '../support/app.js';
import { eventually } from '../support/deadline.js';

const logger = createLogger('silent');
const QUICK: JobTimes = { holdMs: 2000, heartbeatMs: 100, pollMs: 50, retryMs: 10 };
/** The same, with jobs that nobody else takes while a busy machine keeps their process from saying that it is at them. */
const PATIENT: JobTimes = { ...QUICK, holdMs: 60_000 };

describe.each(backends)('Jobs on %s', (backend) => {
  let place: Place;
  let database: OpenDatabase;
  const runners: JobRunner[] = [];

  beforeAll(async () => {
    place = await makePlace(backend);
    database = await openDatabase(readConfig(environmentOf(place)), logger);
    await migrateToLatest(database.db);
  });
  afterAll(async () => {
    await database.close();
    await place[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    // First, so that a job that never ends is no other test's.
    await database.db.deleteFrom('jobs').execute();
    await Promise.all(runners.splice(0).map((runner) => runner.stop()));
    await database.db.deleteFrom('jobs').execute();
  });

  function startRunner(kind: JobKind, times = QUICK): JobRunner {
    const runner = new JobRunner({ db: database.db, logger }, [kind], times);
    runners.push(runner);
    runner.start();
    return runner;
  }
  const add = (...subjects: string[]): Promise<void> => addFor('owner', ...subjects);
  const addFor = (owner: string, ...subjects: string[]): Promise<void> =>
    transaction(database.db, async (trx) => {
      for (const subject of subjects) await addJob(trx, 'test', subject, owner);
    });
  const left = async (): Promise<string[]> =>
    (await database.db.selectFrom('jobs').select('subject').orderBy('subject').execute()).map(
      ({ subject }) => subject,
    );
  const allEnded = (): Promise<true> =>
    eventually(10_000, 'all jobs ended', async () => (await left()).length === 0);

  test('are done once each, by several runners, and are gone then', async () => {
    const done: string[] = [];
    const kind: JobKind = {
      kind: 'test',
      atOnce: 2,
      run: (subject) => Promise.resolve(void done.push(subject)),
    };
    const subjects = Array.from({ length: 40 }, (_, i) => String(i));
    await add(...subjects);
    startRunner(kind);
    startRunner(kind);
    await allEnded();
    expect(done.sort()).toEqual(subjects.sort());
  });

  test('are not done when the transaction that asked for them is rolled back', async () => {
    const failing = transaction(database.db, async (trx) => {
      await addJob(trx, 'test', 'never', 'owner');
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    expect(await left()).toEqual([]);
  });

  test('are asked for once while they wait or are under way', async () => {
    await add('one', 'one');
    const held = await takeJob(database.db, 'test', [], 60_000);
    expect(held).toEqual({ kind: 'test', subject: 'one', owner: 'owner', attempts: 1 });
    await add('one');
    expect(await takeJob(database.db, 'test', [], 60_000)).toBeUndefined();
  });

  test('are never at more together than they may', async () => {
    let now = 0;
    let most = 0;
    const gates: (() => void)[] = [];
    startRunner({
      kind: 'test',
      atOnce: 3,
      run: async () => {
        most = Math.max(most, ++now);
        await new Promise<void>((resolve) => gates.push(resolve));
        now -= 1;
      },
    });
    await add('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    await eventually(10_000, 'as many began as may', () => gates.length === 3);
    for (let i = 0; i < 8; i++) {
      await eventually(10_000, 'a job began', () => gates.length > 0);
      gates.shift()?.();
    }
    await allEnded();
    expect(most).toBe(3);
  });

  test('that fail are tried again', async () => {
    let times = 0;
    startRunner({
      kind: 'test',
      atOnce: 1,
      run: () => (++times < 3 ? Promise.reject(new Error('not yet')) : Promise.resolve()),
    });
    await add('stubborn');
    await allEnded();
    expect(times).toBe(3);
  });

  test('that fail too often are given up with the last error, and giving up is tried again as well', async () => {
    let times = 0;
    const givenUp: unknown[] = [];
    startRunner({
      kind: 'test',
      atOnce: 1,
      attempts: 2,
      run: () => Promise.reject(new Error(`attempt ${String(++times)}`)),
      giveUp: (_subject, error) => {
        givenUp.push((error as Error | undefined)?.message);
        return givenUp.length < 2 ? Promise.reject(new Error('away')) : Promise.resolve();
      },
    });
    await add('hopeless');
    await allEnded();
    expect(times).toBe(2);
    expect(givenUp).toEqual(['attempt 2', undefined]);
  });

  test('of a process that died are done by another once its hold has run out', async () => {
    await add('orphan');
    // As a process does that is killed then.
    await takeJob(database.db, 'test', [], 200);
    const done: string[] = [];
    startRunner({ kind: 'test', atOnce: 1, run: (subject) => Promise.resolve(void done.push(subject)) });
    await allEnded();
    expect(done).toEqual(['orphan']);
  });

  test('that take longer than a hold stay with the process that is at them', async () => {
    let begun = 0;
    let finish = (): void => undefined;
    const kind: JobKind = {
      kind: 'test',
      atOnce: 1,
      run: () => {
        begun += 1;
        return new Promise<void>((resolve) => (finish = resolve));
      },
    };
    const times = { ...QUICK, holdMs: 400 };
    startRunner(kind, times);
    startRunner(kind, times);
    await add('long');
    await eventually(10_000, 'the job began', () => begun === 1);
    const first = await heldUntil();
    // Held on beyond the end of the first hold.
    await eventually(10_000, 'it was held on', async () => (await heldUntil()) - first > 600);
    expect(begun).toBe(1);
    finish();
    await allEnded();
  });

  const heldUntil = async (): Promise<number> =>
    (await database.db.selectFrom('jobs').select('run_at').executeTakeFirstOrThrow()).run_at.getTime();

  test('are told when they are no longer held, and end nothing that another does then', async () => {
    let begun = false;
    let told: unknown;
    startRunner({
      kind: 'test',
      atOnce: 1,
      run: (_subject, signal) =>
        new Promise((resolve) => {
          begun = true;
          signal.addEventListener('abort', () => {
            told = signal.reason;
            resolve();
          });
        }),
    });
    await add('stolen');
    await eventually(10_000, 'the job began', () => begun);
    // As another process does that takes this one for dead.
    await database.db
      .updateTable('jobs')
      .set({ attempts: 2, run_at: new Date(Date.now() + 60_000) })
      .execute();
    await eventually(10_000, 'it was told', () => told instanceof Error);
    await Promise.all(runners.splice(0).map((runner) => runner.stop()));
    expect(await left()).toEqual(['stolen']);
  });

  test("under way are aborted when the process stops, and are another one's at once, at no cost of an attempt", async () => {
    let begun = false;
    const runner = startRunner({
      kind: 'test',
      atOnce: 1,
      attempts: 1,
      run: (_subject, signal) =>
        new Promise((_resolve, reject) => {
          begun = true;
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    });
    await add('handed over');
    await eventually(10_000, 'the job began', () => begun);
    await runner.stop();
    expect(await takeJob(database.db, 'test', [], 60_000)).toEqual({
      kind: 'test',
      subject: 'handed over',
      owner: 'owner',
      attempts: 1,
    });
  });

  /** A kind whose jobs end when they are told to. */
  function gated(limits: Pick<JobKind, 'atOnce' | 'perOwner'>) {
    const begun: string[] = [];
    const gates = new Map<string, () => void>();
    const kind: JobKind = {
      kind: 'test',
      ...limits,
      run: (subject) => {
        begun.push(subject);
        return new Promise((resolve) => gates.set(subject, resolve));
      },
    };
    const end = async (subject: string): Promise<void> => {
      await eventually(10_000, `${subject} began`, () => gates.has(subject));
      gates.get(subject)?.();
      gates.delete(subject);
    };
    return { kind, begun, end, gates };
  }

  test('are done by turns of their owners, whoever came first', async () => {
    const { kind, begun, end } = gated({ atOnce: 1 });
    await addFor('a', 'a1', 'a2', 'a3', 'a4');
    startRunner(kind, PATIENT);
    await eventually(10_000, 'the first one began', () => begun.length === 1);
    await addFor('b', 'b1', 'b2');
    await addFor('c', 'c1');
    for (const subject of ['a1', 'b1', 'c1']) await end(subject);
    await eventually(10_000, 'another one began', () => begun.length === 4);
    // One who has had theirs, and comes again, waits for nobody's second.
    await addFor('c', 'c2');
    for (const subject of ['a2', 'c2', 'b2', 'a3', 'a4']) await end(subject);
    await allEnded();
    expect(begun).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'b2', 'a3', 'a4']);
  });

  test('of one owner leave a place to others', async () => {
    const { kind, begun, end, gates } = gated({ atOnce: 2, perOwner: 1 });
    startRunner(kind, PATIENT);
    await addFor('a', 'a1', 'a2', 'a3');
    await eventually(10_000, 'the first one began', () => begun.length === 1);
    await addFor('b', 'b1');
    await eventually(10_000, "another's began beside it", () => begun.length === 2);
    expect([...gates.keys()]).toEqual(['a1', 'b1']);
    for (const subject of ['a1', 'b1', 'a2', 'a3']) await end(subject);
    await allEnded();
  });

  test('that were asked for before there were owners are done, and those of an owner by turns', async () => {
    const { up, down } = migrations['0014_fair_work']!;
    await down!(database.db);
    await database.db.insertInto('jobs').values({ kind: 'test', subject: 'old' }).execute();
    await up(database.db);
    await addFor('a', 'a1');
    const { kind, begun, end } = gated({ atOnce: 1 });
    startRunner(kind);
    await end('old');
    await end('a1');
    await allEnded();
    expect(begun).toEqual(['old', 'a1']);
  });
});

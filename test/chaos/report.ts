import type { Outcome } from './chaos.js';
import type { EmbeddedOutcome } from './embedded.js';
import { FAULTS } from './faults.js';
import type { Verdict } from './verdict.js';

/** What must not have happened, one line each; empty after a good run. */
export function failures({ verdict, oddities, crashes, removals, logged, reconnects }: Outcome): string[] {
  return [
    ...(reconnects > 1 ? [`connected more than once while processes were replaced: ${reconnects}`] : []),
    ...miscounts(verdict),
    ...[...oddities].map(([what, count]) => `${what}: ${count}`),
    ...crashes.map((crash) => `crashed: ${crash}`),
    ...removals.flatMap(({ untold }) => (untold > 0 ? [`not told of a removal: ${untold}`] : [])),
    ...[...logged].flatMap(([message, count]) =>
      message === 'internal error' || message.startsWith('the room log')
        ? [`logged: ${message}: ${count}`]
        : [],
    ),
  ];
}

export function embeddedFailures({ verdict, oddities, failedStarts }: EmbeddedOutcome): string[] {
  return [
    ...miscounts(verdict),
    ...oddities,
    ...(failedStarts > 0 ? [`starts that failed: ${failedStarts}`] : []),
  ];
}

function miscounts(verdict: Verdict): string[] {
  const { lost, doubled, disordered, foreign, afterRemoval, writesLost, writesDoubled } = verdict;
  const counts = { lost, doubled, disordered, foreign, afterRemoval, writesLost, writesDoubled };
  return Object.entries(counts).flatMap(([what, count]) => (count > 0 ? [`${what}: ${count}`] : []));
}

/** The report, as Markdown. */
export function table(outcome: Outcome): string {
  const { verdict, waits, ledger, removals, ends } = outcome;
  const told = removals.map(({ toldAfter }) => toldAfter);
  const rows = [...FAULTS, 'process killed for good'].flatMap((fault) =>
    waits.count(fault) === 0
      ? []
      : [
          `| ${fault} | ${waits.count(fault)} | ${seconds(waits.longestDuring(fault))} | ${seconds(waits.longestSilenceDuring(fault))} |`,
        ],
  );
  return [
    `Seed ${outcome.seed}, ${outcome.seconds} s. Clients: ${outcome.subscribers}.`,
    '',
    '| fault | times | longest wait of an event | longest silence of a subscription |',
    '|---|---:|---:|---:|',
    ...rows,
    `| member removed and taken back | ${removals.length} | told within ${seconds(Math.max(0, ...told))} | |`,
    `| none | | ${seconds(waits.longestDuring('none'))} | ${seconds(waits.longestSilenceDuring('none'))} |`,
    '',
    '| counted | |',
    '|---|---:|',
    `| faults | ${outcome.faults} |`,
    `| events in the log | ${verdict.events} |`,
    `| deliveries | ${verdict.deliveries} |`,
    `| lost | ${verdict.lost} |`,
    `| doubled | ${verdict.doubled} |`,
    `| disordered | ${verdict.disordered} |`,
    `| not in the log as delivered | ${verdict.foreign} |`,
    `| delivered after a removal | ${verdict.afterRemoval} |`,
    `| acknowledged writes | ${verdict.acknowledged} |`,
    `| of them only when repeated | ${ledger.repeated} |`,
    `| of them sent twice at once | ${ledger.twins} |`,
    `| acknowledged and missing | ${verdict.writesLost} |`,
    `| written more than once | ${verdict.writesDoubled} |`,
    `| connections of one client while processes were replaced once, at most | ${outcome.reconnects} |`,
    `| resumed subscriptions | ${[...ends.values()].reduce((total, count) => total + count, 0)} |`,
    '',
    `While nothing was wrong, half of the events arrived within ${waits.calmQuantile(0.5)} ms, 99 % within ${waits.calmQuantile(0.99)} ms.`,
    `Subscriptions ended by: ${list(ends)}.`,
    `Writes failed by: ${list(ledger.failures)}.`,
    `Starts that had to be repeated: ${outcome.failedStarts}. Errors logged: ${list(outcome.logged)}.`,
  ].join('\n');
}

/** The report of an embedded run, as Markdown. */
export function embeddedTable(outcome: EmbeddedOutcome): string {
  const { verdict, ledger } = outcome;
  return [
    `Embedded, seed ${outcome.seed}.`,
    '',
    '| counted | |',
    '|---|---:|',
    `| \`kill -9\` during writes | ${outcome.kills} |`,
    `| acknowledged writes | ${verdict.acknowledged} |`,
    `| of them only when repeated | ${ledger.repeated} |`,
    `| acknowledged and missing | ${verdict.writesLost} |`,
    `| written more than once | ${verdict.writesDoubled} |`,
    `| deliveries | ${verdict.deliveries} |`,
    `| lost, doubled, disordered | ${verdict.lost}, ${verdict.doubled}, ${verdict.disordered} |`,
    `| second processes, all refused | ${outcome.refused} |`,
    `| starts that failed | ${outcome.failedStarts} |`,
    `| longest time until ready again | ${seconds(outcome.longestStart)} |`,
  ].join('\n');
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const list = (counts: ReadonlyMap<string, number>): string =>
  counts.size === 0 ? 'nothing' : [...counts].map(([what, count]) => `${what} ${count}`).join(', ');

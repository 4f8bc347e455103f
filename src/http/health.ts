import type { ServerResponse } from 'node:http';
import { singleFlight } from '../async/single-flight.js';
import { inTime } from '../async/timeout.js';
import { counts } from '../observability/counts.js';
import type { Logger } from '../observability/logger.js';
import { answerJson } from './json-answer.js';

/** What is asked, by name, each answering or rejecting. */
export type HealthChecks = Readonly<Record<string, () => Promise<unknown>>>;

/** What `/readyz` says of the server. */
export interface Health {
  /** Without one of these the server can serve nothing. */
  readonly needed: HealthChecks;
  /** Without one of these it serves on, with less. */
  readonly degrading: HealthChecks;
  /** What is told along. */
  readonly optional: Readonly<Record<string, string>>;
}

/** Longer than this is no answer. */
const CHECK_MS = 2500;
/** Milliseconds for which an answer is remembered. */
const FRESH_MS = 1000;

/** `/livez`: the event loop turns. */
export function answerLive(res: ServerResponse): void {
  answerJson(res, 200, { status: 'ok' });
}

/**
 * `/readyz`: whether this process can serve. What it lacks but can do without is named, and no reason to send clients elsewhere: other
 * processes lack it too. What changes is logged, with the reason, which no client is told.
 */
export class Readiness {
  private last: { readonly at: number; readonly states: Promise<Map<string, boolean>> } | undefined;
  private readonly checks: readonly (readonly [name: string, check: () => Promise<unknown>])[];

  constructor(
    private readonly health: Health,
    private readonly logger: Logger,
  ) {
    // One that still hangs is not begun again beside itself.
    this.checks = Object.entries({ ...health.needed, ...health.degrading }).map(
      ([name, check]) => [name, singleFlight(check)] as const,
    );
    for (const [name] of this.checks) counts.checksFailing[name] = 0;
  }

  /** Each check by name, `ok` or `down`, and what is optional; 503 where a needed one is down or the server is `stopping`. */
  async answer(res: ServerResponse, stopping: boolean): Promise<void> {
    const states = await this.states();
    const isDown = Object.keys(this.health.needed).some((name) => states.get(name) !== true);
    const isDegraded = [...states.values()].includes(false);
    answerJson(res, stopping || isDown ? 503 : 200, {
      status: stopping ? 'stopping' : isDown ? 'down' : isDegraded ? 'degraded' : 'ok',
      ...Object.fromEntries([...states].map(([name, passed]) => [name, passed ? 'ok' : 'down'])),
      ...this.health.optional,
    });
  }

  /** At most once a second, however often it is asked for. */
  private states(): Promise<Map<string, boolean>> {
    const now = performance.now();
    if (this.last === undefined || now - this.last.at > FRESH_MS)
      this.last = { at: now, states: this.look() };
    return this.last.states;
  }

  private async look(): Promise<Map<string, boolean>> {
    const passed = this.checks.map(async ([name, check]) => [name, await this.passes(name, check)] as const);
    return new Map(await Promise.all(passed));
  }

  private async passes(name: string, check: () => Promise<unknown>): Promise<boolean> {
    const wasFailing = counts.checksFailing[name] === 1;
    try {
      await inTime(check(), CHECK_MS, 'no answer');
      if (wasFailing) this.logger.info({ check: name }, 'a check passes again');
      counts.checksFailing[name] = 0;
      return true;
    } catch (err) {
      if (!wasFailing) this.logger.warn({ check: name, err }, 'a check fails');
      counts.checksFailing[name] = 1;
      return false;
    }
  }
}

import type { ServerResponse } from 'node:http';
import type { Logger } from '../observability/logger.js';

/** What a process needs, by name, each answering or rejecting. */
export type HealthChecks = Readonly<Record<string, () => Promise<unknown>>>;

/** Longer than this is no answer. */
const CHECK_MS = 2000;

/** `/livez`: the event loop turns. */
export function answerLive(res: ServerResponse): void {
  answer(res, 200, { status: 'ok' });
}

/** `/readyz`: whether everything that requests need answers. What changes is logged, with the reason, which no client is told. */
export class Readiness {
  private readonly down = new Set<string>();

  /** `optional`: what is told along, and makes no server unready. */
  constructor(
    private readonly checks: HealthChecks,
    private readonly optional: Readonly<Record<string, string>>,
    private readonly logger: Logger,
  ) {}

  /** Each check by name, `ok` or `down`, and what is optional; 503 where a check is down or the server is `stopping`. */
  async answer(res: ServerResponse, stopping: boolean): Promise<void> {
    const entries = await Promise.all(
      Object.entries(this.checks).map(
        async ([name, check]) => [name, (await this.passes(name, check)) ? 'ok' : 'down'] as const,
      ),
    );
    const ready = !stopping && entries.every(([, state]) => state === 'ok');
    answer(res, ready ? 200 : 503, {
      status: stopping ? 'stopping' : ready ? 'ok' : 'down',
      ...Object.fromEntries(entries),
      ...this.optional,
    });
  }

  private async passes(name: string, check: () => Promise<unknown>): Promise<boolean> {
    try {
      await inTime(check);
      if (this.down.delete(name)) this.logger.info({ check: name }, 'ready again');
      return true;
    } catch (err) {
      if (!this.down.has(name)) this.logger.warn({ check: name, err }, 'not ready');
      this.down.add(name);
      return false;
    }
  }
}

async function inTime(check: () => Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_MS} ms`)), CHECK_MS);
  });
  try {
    await Promise.race([check(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function answer(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  res.end(`${JSON.stringify(body)}\n`);
}

import { eventually } from './deadline.js';

/** What `/readyz` says. */
export interface Said {
  readonly code: number;
  readonly status: string;
  readonly [check: string]: unknown;
}

export async function readiness(url: string): Promise<Said> {
  const answer = await fetch(`${url}/readyz`);
  return { code: answer.status, ...((await answer.json()) as { status: string }) };
}

/** Waits until `/readyz` says `status`, such as `ok` or `degraded`: it looks once a second at most. */
export const untilReadiness = (url: string, status: string, ms = 20_000): Promise<Said> =>
  eventually(ms, `/readyz says ${status}`, async () => {
    const said = await readiness(url);
    return said.status === status && said;
  });

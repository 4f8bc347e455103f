import type { ServerResponse } from 'node:http';

/** What a process needs, by name, each answering or rejecting. */
export type HealthChecks = Readonly<Record<string, () => Promise<unknown>>>;

/** Longer than this is no answer. */
const CHECK_MS = 2000;

/** `/livez`: the event loop turns. */
export function answerLive(res: ServerResponse): void {
  answer(res, 200, { status: 'ok' });
}

/** `/readyz`: everything that requests need answers, each by name; 503 otherwise. */
export async function answerReady(
  res: ServerResponse,
  checks: HealthChecks,
  stopping: boolean,
): Promise<void> {
  const entries = await Promise.all(
    Object.entries(checks).map(
      async ([name, check]) => [name, (await answers(check)) ? 'ok' : 'down'] as const,
    ),
  );
  const ready = !stopping && entries.every(([, state]) => state === 'ok');
  answer(res, ready ? 200 : 503, {
    status: stopping ? 'stopping' : ready ? 'ok' : 'down',
    ...Object.fromEntries(entries),
  });
}

async function answers(check: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, CHECK_MS, false);
  });
  try {
    return await Promise.race([check().then(() => true), late]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

function answer(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  res.end(`${JSON.stringify(body)}\n`);
}

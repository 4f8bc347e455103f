import { onWake } from './wake.js';

/** What is needed of a file that is shown: its id, and a signed link to it or to what was made of it. */
export interface LinkedFile {
  readonly id: string;
  readonly url: string;
}

/** Keeps the links of what is shown good. */
export interface LinkRenewal {
  /** What is shown now, in place of what was. Call it whenever that changes, so also with renewed links. */
  show(files: readonly LinkedFile[]): void;
  /** Nothing is shown any longer. */
  stop(): void;
}

/** How many ids `nodes` takes. */
const IDS = 100;
/** Milliseconds until links that could not be renewed are asked for again. */
const RETRY_MS = 30_000;
/** What a timer can wait for at most. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Watched {
  readonly url: string;
  /** When it is renewed. */
  due: number;
}

/**
 * Has links renewed when a quarter of their life is left. `renew` is called with the ids of the files, at most
 * 100 in each call: ask for their links again, past the cache. `seconds`: the `expiresIn` of the document, or
 * 900 where it names none.
 *
 * A clock that is wrong here does no harm: a link also counts as old when three quarters of `seconds` have gone
 * by since it was first shown, and no link is asked for more often than in each quarter. What fails (`renew`
 * rejects) is tried again after half a minute. A page that is seen again, or back on the network, asks at once
 * for what it has missed.
 */
export function renewLinks(
  seconds: number,
  renew: (fileIds: readonly string[]) => Promise<unknown>,
): LinkRenewal {
  const quarterMs = (seconds * 1000) / 4;
  let watched = new Map<string, Watched>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const wait = (): void => {
    clearTimeout(timer);
    if (watched.size === 0) return;
    let next = Infinity;
    for (const { due } of watched.values()) next = Math.min(next, due);
    timer = setTimeout(renewDue, Math.min(Math.max(next - Date.now(), 0), LONGEST_TIMER_MS));
  };

  const renewDue = (): void => {
    const now = Date.now();
    const ids: string[] = [];
    for (const [id, link] of watched) {
      // Those that follow soon go along.
      if (link.due > now + quarterMs / 4) continue;
      ids.push(id);
      link.due = now + quarterMs;
    }
    wait();
    for (let i = 0; i < ids.length; i += IDS) ask(ids.slice(i, i + IDS));
  };

  const ask = (ids: readonly string[]): void => {
    renew(ids).catch(() => {
      for (const id of ids) {
        const link = watched.get(id);
        if (link !== undefined) link.due = Math.min(link.due, Date.now() + RETRY_MS);
      }
      wait();
    });
  };

  const stopWaking = onWake(renewDue);

  return {
    show: (files) => {
      const now = Date.now();
      const before = watched;
      watched = new Map(files.map(({ id, url }) => [id, dueOf(id, url, before, now, quarterMs)]));
      wait();
    },
    stop: () => {
      watched = new Map();
      clearTimeout(timer);
      stopWaking();
    },
  };
}

function dueOf(
  id: string,
  url: string,
  before: ReadonlyMap<string, Watched>,
  now: number,
  quarterMs: number,
): Watched {
  const known = before.get(id);
  if (known?.url === url) return known;
  const expires = Number(/[?&]expires=(\d{1,12})/.exec(url)?.[1] ?? NaN) * 1000;
  const due = Math.min(now + 3 * quarterMs, Number.isNaN(expires) ? Infinity : expires - quarterMs);
  // A link that has just come in place of another is fresh, whatever the clock here says.
  return { url, due: known === undefined ? due : Math.max(due, now + quarterMs) };
}

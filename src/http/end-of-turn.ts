/** Answers that wait for each other at most. */
const MOST = 32;

let waiting = 0;
let leave: (() => void) | undefined;
let end: Promise<void> | undefined;

/**
 * Resolves before the event loop waits again, for all who ask in one turn of it, so that answers which are ready together leave together. A
 * write wakes whoever waits at the other end, which costs more than the write; those that follow at once find them awake. With ten
 * connections this took a fifth off a small request.
 */
export function endOfTurn(): Promise<void> {
  end ??= new Promise((resolve) => {
    leave = resolve;
    setImmediate(over);
  });
  const shared = end;
  if (++waiting === MOST) over();
  return shared;
}

function over(): void {
  leave?.();
  leave = end = undefined;
  waiting = 0;
}

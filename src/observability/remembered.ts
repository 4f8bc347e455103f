/** The same check, run once in `ms` milliseconds at most: who asks again before that gets the same outcome. */
export function remembered(check: () => Promise<unknown>, ms = 1000): () => Promise<unknown> {
  let outcome: Promise<unknown> | undefined;
  let asked = -Infinity;
  return () => {
    if (outcome === undefined || performance.now() - asked > ms) {
      asked = performance.now();
      outcome = check();
    }
    return outcome;
  };
}

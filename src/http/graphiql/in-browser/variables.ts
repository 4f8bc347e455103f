/** What placeholders stand for. */
export interface Values {
  /** The last value of every root field that was answered. */
  readonly seen: Readonly<Record<string, unknown>>;
  /** The tab whose operation answers a root field, to be named where its answer is missing. */
  readonly tabOf: Readonly<Record<string, string>>;
  readonly random: string;
}

export type Filled = { readonly variables: unknown } | { readonly missing: string };

/**
 * Puts values where variables hold placeholders: `"{{createRoom.room.id}}"` becomes the last value that was answered
 * there, of whatever type it is, and `{{random}}` a word that is another one each time.
 */
export function fillVariables(variables: unknown, { seen, tabOf, random }: Values): Filled {
  let missing: string | undefined;

  function lookUp(path: string): unknown {
    if (path === 'random') return random;
    const steps = path.split('.');
    let value: unknown = seen;
    for (const step of steps) value = (value as Record<string, unknown> | null | undefined)?.[step];
    if (value !== undefined && value !== null) return value;
    const tab = tabOf[steps[0] ?? path];
    const run = tab === undefined ? 'Run an operation that answers it' : `Run the tab "${tab}"`;
    missing ??= `${run} first: {{${path}}} stands for a value that has not been answered yet.`;
    return undefined;
  }

  function fill(value: unknown): unknown {
    if (typeof value === 'string') {
      const whole = /^\{\{\s*([\w.]+)\s*\}\}$/.exec(value)?.[1];
      if (whole !== undefined) return lookUp(whole);
      return value.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, path: string) => String(lookUp(path)));
    }
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item)]));
  }

  const filled = fill(variables);
  return missing === undefined ? { variables: filled } : { missing };
}

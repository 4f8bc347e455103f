export interface Operation {
  readonly type: string | undefined;
  readonly name: string | undefined;
}

/** Enough of a parser to tell operations apart. A document with mistakes in it is the server's to refuse. */
export function operationsOf(query: string): Operation[] {
  const bare = query.replace(/"""[\s\S]*?(?:"""|$)|"(?:\\.|[^"\\\n])*"?|#.*/g, ' ');
  const operations: Operation[] = [];
  let depth = 0;
  for (const [token, type, name] of bare.matchAll(/[{}]|\b(query|mutation|subscription)\b(?:\s+(\w+))?/g)) {
    if (token === '{') depth++;
    else if (token === '}') depth--;
    else if (depth === 0) operations.push({ type, name });
  }
  return operations;
}

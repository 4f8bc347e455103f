/** The name of what is no event, and only keeps a stream alive. */
export const COMMENT = ':';

/** One event of an event stream, or a comment. */
export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/**
 * The events of a `text/event-stream`, until it ends. `heard` is called for all that arrives, comments among
 * it. https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export async function* eventsOf(response: Response, heard: () => void): AsyncGenerator<StreamEvent> {
  let [name, data] = ['message', undefined as string | undefined];
  for await (const line of linesOf(response, heard)) {
    if (line === '') {
      if (data !== undefined) yield { name, data };
      [name, data] = ['message', undefined];
      continue;
    }
    if (line.startsWith(COMMENT)) yield { name: COMMENT, data: '' };
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'event') name = value;
    else if (field === 'data') data = data === undefined ? value : `${data}\n${value}`;
  }
}

async function* linesOf(response: Response, heard: () => void): AsyncGenerator<string> {
  // Not every browser iterates over a body.
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const decoder = new TextDecoder();
  const unfinished: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      const [first = '', ...lines] = decoder.decode(value, { stream: true }).split('\n');
      unfinished.push(first);
      for (const next of lines) {
        const line = unfinished.join('');
        unfinished.splice(0, unfinished.length, next);
        yield line.endsWith('\r') ? line.slice(0, -1) : line;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

import { eventually } from './deadline.js';

export interface ServerSentEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data?: any;
}

/** Reads an event stream by hand, as the HTML standard says, so that every line of it can be looked at. */
export class EventStream {
  readonly events: ServerSentEvent[] = [];
  /** How the connection ended: by the server's last chunk, or cut. */
  ended: 'finished' | 'cut' | undefined;
  private readonly abort = new AbortController();

  static async open(url: string, init: RequestInit): Promise<EventStream> {
    const stream = new EventStream();
    const response = await fetch(url, { ...init, signal: stream.abort.signal });
    if (
      response.headers.get('content-type')?.startsWith('text/event-stream') !== true ||
      response.body === null
    ) {
      throw new Error(`no event stream: ${response.status} ${await response.text()}`);
    }
    void stream.read(response.body);
    return stream;
  }

  /** The data of the first `count` answers, once they are there. */
  async next(count: number, ms = 10_000): Promise<ServerSentEvent[]> {
    return eventually(ms, `${count} events`, () => {
      const found = this.events.filter(({ event }) => event === 'next');
      return found.length >= count ? found.slice(0, count) : undefined;
    });
  }

  async end(ms = 10_000): Promise<void> {
    await eventually(ms, 'the end of the stream', () => this.ended !== undefined);
  }

  close(): void {
    this.abort.abort();
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const chunk of body) {
        text += decoder.decode(chunk, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) this.take(block);
      }
      this.ended = 'finished';
    } catch {
      this.ended = 'cut';
    }
  }

  private take(block: string): void {
    const fields = Object.fromEntries(
      block
        .split('\n')
        .filter((line) => !line.startsWith(':'))
        .map((line) => {
          const cut = line.indexOf(':');
          return [line.slice(0, cut), line.slice(cut + 1).trim()];
        }),
    );
    if (fields['event'] === undefined) return;
    this.events.push({
      ...fields,
      data: fields['data'] === '' ? undefined : JSON.parse(fields['data'] ?? 'null'),
    });
  }
}

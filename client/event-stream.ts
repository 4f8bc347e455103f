import type { FormattedExecutionResult, Sink, SubscribePayload } from 'graphql-ws/client';
import { backoff } from './backoff.js';
import type { Session } from './session.js';
import { COMMENT, eventsOf, type StreamEvent } from './stream-events.js';
import { pause } from './wake.js';

/** Milliseconds of silence after which a stream counts as dead. The server says something each 12 seconds. */
const SILENCE_MS = 30_000;
/** The same where the network or the page has just come back. */
const SILENCE_BEFORE_WAKE_MS = 13_000;
/** What the server may have us wait for at most, in milliseconds. */
const LONGEST_WAIT_MS = 60_000;

type Result = FormattedExecutionResult<Record<string, unknown>, unknown>;

/** A sink that learns when what it gets begins, or begins again behind a lost connection. */
export interface StreamSink extends Sink<Result> {
  began?(): void;
}

/**
 * One subscription over an event stream (graphql-sse's distinct connections mode). Like a subscription of
 * graphql-ws it begins again whatever happened to its connection, with the variables as they are then, and ends
 * when the server says so.
 */
export class EventStream {
  /** Ends the wait before an attempt, and all attempts. */
  private readonly end = new AbortController();
  private attempt = new AbortController();
  private failures = 0;
  private heardAt = Date.now();

  constructor(
    private readonly url: string,
    private readonly session: Session,
    private readonly payload: SubscribePayload,
    private readonly sink: StreamSink,
  ) {
    void this.run();
  }

  /** Ends it from this side. */
  stop(): void {
    this.end.abort();
    this.attempt.abort();
  }

  /** Breaks the connection, so that it begins again. */
  restart(): void {
    this.attempt.abort();
  }

  /** The network or the page has come back: a connection of which nothing was heard lately may be dead. */
  wake(): void {
    if (Date.now() - this.heardAt > SILENCE_BEFORE_WAKE_MS) this.restart();
  }

  private async run(): Promise<void> {
    while (!this.end.signal.aborted) {
      const waitMs = await this.follow();
      if (waitMs === 'over') return;
      await pause(Math.max(waitMs, backoff(this.failures++)), this.end.signal);
    }
  }

  /**
   * Follows one connection to its end. Returns whether all is over, or how many milliseconds the server wants
   * us to wait.
   */
  private async follow(): Promise<'over' | number> {
    const attempt = new AbortController();
    this.attempt = attempt;
    let silence = setTimeout(() => attempt.abort(), SILENCE_MS);
    const token = await this.session.accessToken();
    try {
      const { query, ...rest } = this.payload;
      const response = await this.session.fetch(this.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        // Where a hash stands for the text, that is empty.
        body: JSON.stringify({ ...(query !== '' && { query }), ...rest }),
        signal: attempt.signal,
      });
      if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true)
        return await this.refused(response, attempt.signal);
      let hasBegun = false;
      const heard = (): void => {
        this.heardAt = Date.now();
        clearTimeout(silence);
        silence = setTimeout(() => attempt.abort(), SILENCE_MS);
      };
      for await (const event of eventsOf(response, heard)) {
        if (attempt.signal.aborted) break;
        // The server begins with a comment; with an error, what never began.
        if (!hasBegun && event.name === COMMENT) this.sink.began?.();
        hasBegun = true;
        const result = this.take(event);
        if (result === 'over') return result;
        if (result !== undefined) return await this.ended(result, token);
      }
      return 0;
    } catch {
      return 0;
    } finally {
      clearTimeout(silence);
      attempt.abort();
    }
  }

  /**
   * Hands an event over. Returns whether all is over, or the errors with which it could not begin or has ended.
   */
  private take({ name, data }: StreamEvent): 'over' | NonNullable<Result['errors']> | undefined {
    if (name === 'complete') {
      this.sink.complete();
      return 'over';
    }
    if (name !== 'next') return undefined;
    const result = JSON.parse(data) as Result;
    if (result.errors !== undefined && !('data' in result)) return result.errors;
    this.failures = 0;
    this.sink.next(result);
    return this.end.signal.aborted ? 'over' : undefined;
  }

  /**
   * A token that was refused is replaced, and the stream begins again with the next one; any other error ends
   * it.
   */
  private async ended(errors: NonNullable<Result['errors']>, token: string | undefined): Promise<'over' | 0> {
    if (token !== undefined && errors[0]?.extensions?.['code'] === 'UNAUTHENTICATED') {
      this.session.refuse(token);
      if ((await this.session.accessToken()) !== undefined) return 0;
    }
    if (!this.end.signal.aborted) this.sink.error(errors);
    return 'over';
  }

  private async refused(response: Response, signal: AbortSignal): Promise<'over' | number> {
    const waitMs = Number(response.headers.get('retry-after') ?? 0) * 1000 || 0;
    const again = Math.min(waitMs, LONGEST_WAIT_MS);
    if (response.status >= 500 || response.status === 429) return again;
    const answer = (await response.json().catch(() => undefined)) as Partial<Result> | null | undefined;
    // What is no word of the server comes from something between: that passes, as with a WebSocket.
    if (!Array.isArray(answer?.errors) || signal.aborted) return again;
    this.sink.error(answer.errors);
    return 'over';
  }
}

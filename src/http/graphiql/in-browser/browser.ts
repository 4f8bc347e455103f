/**
 * What the code in this folder sees of the browser and of GraphiQL. That code runs inside the page, which gets the
 * source text of each function. So each function stands alone: it imports nothing but types and reaches everything
 * else through its arguments, which also lets tests run it.
 */

export interface Params {
  readonly query: string;
  readonly operationName?: string | null;
  readonly variables?: unknown;
}

export interface ResultError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface Result {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly ResultError[];
  /** Of a subscription: the events before this one, newest first. */
  readonly earlier?: readonly Result[];
}

/** The part of a browser's WebSocket that is used. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: string }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface Browser {
  /** POSTs to the endpoint. Rejects where the server cannot be reached. */
  post(headers: Record<string, string>, body: string): Promise<{ status: number; text(): Promise<string> }>;
  openSocket(): Socket;
  storage: { getItem(key: string): string | null; setItem(key: string, value: string): void };
  /** To the other windows. */
  channel: { postMessage(message: unknown): void; onmessage: ((event: { data: unknown }) => void) | null };
  /** The one line of status. */
  say(text: string): void;
}

/** What the user wrote into the editor of headers. */
export interface FetcherOptions {
  readonly headers?: Readonly<Record<string, unknown>>;
}

export type Fetcher = (
  params: Params,
  options?: FetcherOptions,
) => Promise<Result | AsyncIterableIterator<Result>>;

import { request, type IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';

/**
 * The two ways in of a POST with a JSON body, by what leads there: `application/json` takes the short one wherever that can be, an
 * older name of the same media type the one through yoga's handler.
 */
export const WAYS = { short: 'application/json', long: 'application/graphql+json' } as const;

export type Way = keyof typeof WAYS;

/** Every suite about requests themselves runs over both. */
export const ways: readonly Way[] = ['short', 'long'];

export interface RawRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** The body as it is sent; an object is sent as JSON. */
  readonly body?: string | Buffer | object;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends exactly these headers: `fetch` would add some. Reads the answer to its end. */
export async function sendBy(way: Way, url: string, { method = 'POST', headers, body }: RawRequest) {
  const sent = request(`${url}/graphql`, { method, headers: { 'content-type': WAYS[way], ...headers } });
  sent.end(typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body);
  const [response] = await once(sent, 'response');
  const answer: RawAnswer = {
    status: response.statusCode,
    headers: response.headers,
    body: await text(response),
  };
  return answer;
}

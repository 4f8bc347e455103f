import { Agent as HttpAgent, type AgentOptions, type ClientRequest } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { SilentStoreError } from './storage.js';

/** What Node has of a socket of an agent without saying so in its types: its request, while it has one, and that one's answer. */
interface Serving extends Socket {
  readonly _httpMessage?: (ClientRequest & { readonly res?: { readonly readableLength: number } }) | null;
}

/**
 * Agents whose connections are broken when no byte moves for `silenceMs` milliseconds, however long a request takes as a whole. An
 * answer that is read slowly is not silent: bytes of it wait to be read.
 */
export function agentsAgainstSilence(
  maxSockets: number,
  silenceMs: number,
): { httpAgent: HttpAgent; httpsAgent: HttpsAgent } {
  const options: AgentOptions = { keepAlive: true, maxSockets, timeout: silenceMs };
  return {
    httpAgent: watched(new HttpAgent(options), silenceMs),
    httpsAgent: watched(new HttpsAgent(options), silenceMs),
  };
}

interface Connecting {
  createConnection(...args: unknown[]): Duplex | null | undefined;
}

function watched<A extends HttpAgent>(agent: A, silenceMs: number): A {
  const connecting = agent as unknown as Connecting;
  const connect = connecting.createConnection.bind(agent);
  connecting.createConnection = (...args) => {
    const socket = connect(...args) as Serving;
    // Node looks at what was received and at what was sent, and calls it once.
    socket.on('timeout', () => {
      const request = socket._httpMessage;
      // One without a request the agent closes.
      if (request == null) return;
      if ((request.res?.readableLength ?? 0) > 0) socket.setTimeout(silenceMs);
      // With a code by which the client tries again, by another connection.
      else
        socket.destroy(
          Object.assign(new SilentStoreError('the bucket has fallen silent'), { code: 'ETIMEDOUT' }),
        );
    });
    return socket;
  };
  return agent;
}

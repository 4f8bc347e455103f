import { createSocket, type LiveSink, type Session } from 'parley/client';

/** What Relay's compiler makes of a document, as far as it is sent. */
interface Request {
  readonly text: string | null | undefined;
}
type Variables = Record<string, unknown>;

/** For `Network.create` of relay-runtime: queries and mutations go over HTTP, subscriptions over one WebSocket. */
export function network(session: Session) {
  const socket = createSocket(session.url, session);
  return {
    async fetch({ text }: Request, variables: Variables) {
      const body = JSON.stringify({ query: text, variables });
      const headers = { 'content-type': 'application/json' };
      const response = await session.fetch(session.url, { method: 'POST', headers, body });
      return response.json();
    },
    /** Goes on through lost connections by itself. Answers how to end it. */
    subscribe({ text }: Request, variables: Variables, sink: LiveSink<any>) {
      return socket.subscribe({ query: text ?? '', variables }, sink);
    },
  };
}

import { createSocket, type LiveSink, type Session } from 'parley/client';

/** What Relay's compiler makes of a document, as far as it is sent. */
interface Request {
  readonly text: string | null | undefined;
}
type Variables = Record<string, unknown>;

/** Files of a mutation, as `commitMutation` is given them: by their places in the variables, such as `input.file` or `input.files.0`. */
type Uploadables = Readonly<Record<string, File | Blob>>;

/** For `Network.create` of relay-runtime: queries and mutations go over HTTP, subscriptions over one WebSocket. */
export function network(session: Session) {
  const socket = createSocket(session.url, session);
  return {
    async fetch({ text }: Request, variables: Variables, _cache?: unknown, files?: Uploadables | null) {
      // What is a file is null in the JSON, and a part of its own behind it.
      const operation = JSON.stringify({ query: text, variables }, (_, value: unknown) =>
        value instanceof Blob ? null : value,
      );
      const init = files == null ? inJson(operation) : { body: inParts(operation, files) };
      const response = await session.fetch(session.url, { method: 'POST', ...init });
      return response.json();
    },
    /** Goes on through lost connections by itself. Answers how to end it. */
    subscribe({ text }: Request, variables: Variables, sink: LiveSink<any>) {
      return socket.subscribe({ query: text ?? '', variables }, sink);
    },
  };
}

const inJson = (operation: string) => ({ headers: { 'content-type': 'application/json' }, body: operation });

/** https://github.com/jaydenseric/graphql-multipart-request-spec */
function inParts(operation: string, files: Uploadables): FormData {
  const entries = Object.entries(files);
  const form = new FormData();
  form.set('operations', operation);
  form.set(
    'map',
    JSON.stringify(Object.fromEntries(entries.map(([place], i) => [i, [`variables.${place}`]]))),
  );
  entries.forEach(([, file], i) => form.set(String(i), file));
  return form;
}

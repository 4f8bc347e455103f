import { randomUUID } from 'node:crypto';

/**
 * How a subscriber speaks: `open` begins what it does on a connection, `answer` what a server asks for while it is open, and `read` takes
 * the value out of a delivery's text. `part` is the peer's description, `context` what its setup made.
 */
export const protocols = {
  'graphql-transport-ws': {
    subprotocol: 'graphql-transport-ws',
    async open(subscriber, part, context) {
      const { index } = subscriber;
      const payload = part.connectionParams?.(context, index);
      subscriber.send(JSON.stringify({ type: 'connection_init', payload }));
      await subscriber.control((text) => text.includes('connection_ack'));
      subscriber.id = randomUUID();
      const operation = part.subscribe(context, index);
      subscriber.send(JSON.stringify({ id: subscriber.id, type: 'subscribe', payload: operation }));
    },
    answer: (text) => (text.includes('"ping"') ? '{"type":"pong"}' : undefined),
    read(text, { id }) {
      const message = JSON.parse(text);
      if (message.type !== 'next' || message.id !== id || message.payload.errors) {
        throw new Error(`not a delivery of this subscription: ${text.slice(0, 300)}`);
      }
      return Object.values(message.payload.data)[0];
    },
  },

  'socket.io': {
    async open(subscriber, part, context) {
      await subscriber.control((text) => text.startsWith('0'));
      subscriber.send('40');
      await subscriber.control((text) => text.startsWith('40'));
      subscriber.send(`42${JSON.stringify(part.join(context, subscriber.index))}`);
    },
    answer: (text) => (text === '2' ? '3' : undefined),
    read: (text) => JSON.parse(text.slice(2))[1],
  },

  /** A bare socket, which is in the room of its address and hears the same text as everyone there. */
  ws: {
    open: async () => undefined,
    answer: () => undefined,
    read: (text) => JSON.parse(text).payload.data.messageAdded,
  },
};

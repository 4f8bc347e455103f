import { messagesOf, pageQuery, roomQuery, startOn } from '../lib/pages-peer.js';

export default {
  title: 'graphql-yoga, Pothos by key, without a count',
  packages: ['graphql-yoga', '@pothos/plugin-relay'],
  pages: {
    start: startOn('pages-pothos.js'),
    // Its cursors are the keys: message k has the seq k + 1.
    request: async ({ room }, { offset }) =>
      pageQuery(roomQuery({ total: false }), { id: room, after: offset === 0 ? null : String(offset + 1) }),
    messagesOf,
  },
};

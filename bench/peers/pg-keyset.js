import { messagesOf, startOn } from '../lib/pages-peer.js';

export default {
  title: 'pg by key, with the count of the room',
  limit: true,
  packages: ['pg'],
  pages: {
    start: startOn('pages-pg.js', { PAGING: 'keyset' }),
    request: async (_place, { offset }) => {
      // Message k has the seq k + 1.
      const after = offset === 0 ? '' : `?after=${Buffer.from(String(offset + 1)).toString('base64url')}`;
      return { method: 'GET', path: `/${after}`, headers: {} };
    },
    messagesOf,
  },
};

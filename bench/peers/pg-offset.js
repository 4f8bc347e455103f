import { messagesOf, startOn } from '../lib/pages-peer.js';

export default {
  title: 'pg by OFFSET, with COUNT(*)',
  packages: ['pg'],
  pages: {
    start: startOn('pages-pg.js', { PAGING: 'offset' }),
    request: async (_place, { offset }) => ({ method: 'GET', path: `/?after=${offset}`, headers: {} }),
    messagesOf,
  },
};

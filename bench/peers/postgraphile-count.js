import { postgraphilePages } from '../lib/pages-peer.js';

export default {
  title: 'PostGraphile, with totalCount',
  packages: ['postgraphile'],
  pages: postgraphilePages({ total: true }),
};

import { postgraphilePages } from '../lib/pages-peer.js';

export default {
  title: 'PostGraphile, without a count',
  packages: ['postgraphile'],
  pages: postgraphilePages({ total: false }),
};

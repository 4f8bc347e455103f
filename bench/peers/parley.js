import { parleyOverhead } from '../lib/overhead-peer.js';
import { parleyPages } from '../lib/pages-peer.js';
import { parleyFanout } from '../lib/parley-peer.js';
import { parleyPosts } from '../lib/parley-posts.js';

const fanout = parleyFanout();

export default {
  title: 'Parley',
  fanout,
  crowd: fanout,
  post: { title: 'Parley, over HTTP', measure: parleyPosts('http') },
  overhead: parleyOverhead,
  pages: { title: 'Parley, with totalCount', ...parleyPages },
};

import { parleyOverhead } from './overhead-peer.js';
import { parleyPages } from './pages-peer.js';
import { parleyFanout } from './parley-peer.js';
import { parleyPosts } from './parley-posts.js';

/** What Parley does in the sections where the builds of two checkouts can be compared, as it is built in the one at `root`. */
export const parleyAt = (root) => ({
  fanout: parleyFanout({ root }),
  post: { root, measure: parleyPosts('http', root) },
  overhead: parleyOverhead(root),
  pages: parleyPages(root),
});

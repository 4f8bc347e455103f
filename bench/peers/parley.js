import { parleyOverhead } from '../lib/overhead-peer.js';
import { parleyPages } from '../lib/pages-peer.js';
import { parleyFanout } from '../lib/parley-peer.js';
import { parleyPosts } from '../lib/parley-posts.js';
import { parleyDownload } from '../lib/download-peer.js';
import { parleyImages } from '../lib/images-peer.js';
import { parleyUpload } from '../lib/transfer-peer.js';

const fanout = parleyFanout();

export default {
  title: 'Parley',
  fanout,
  crowd: fanout,
  post: { title: 'Parley, over HTTP', measure: parleyPosts('http') },
  overhead: parleyOverhead,
  upload: { title: 'Parley, hashed, judged and synced', ...parleyUpload },
  download: parleyDownload,
  images: parleyImages,
  pages: { title: 'Parley, with totalCount', ...parleyPages },
};

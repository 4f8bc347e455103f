import { parleyDownload } from '../lib/download-peer.js';
import { parleyImages } from '../lib/images-peer.js';
import { parleyAt } from '../lib/parley-at.js';
import { parleyUpload } from '../lib/transfer-peer.js';

const here = parleyAt();

export default {
  title: 'Parley',
  ...here,
  crowd: here.fanout,
  post: { title: 'Parley, over HTTP', ...here.post },
  upload: { title: 'Parley, hashed, judged and synced', ...parleyUpload },
  download: parleyDownload,
  images: parleyImages,
  pages: { title: 'Parley, with totalCount', ...here.pages },
};
